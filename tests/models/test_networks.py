import pytest
import torch

from threestudio.errors import UserError
from threestudio.models.networks import ACTIVATIONS, get_activation, get_mlp


def test_the_mlp_has_the_layers_that_it_is_told_and_no_biases():
    network = get_mlp(5, 2, {"otype": "VanillaMLP", "n_neurons": 8, "n_hidden_layers": 2})
    assert [tuple(parameter.shape) for parameter in network.parameters()] == [(8, 5), (8, 8), (2, 8)]


def test_the_output_activation_is_applied():
    network = get_mlp(3, 1, {"n_neurons": 4, "n_hidden_layers": 1, "output_activation": "sigmoid"})
    assert network(torch.zeros(2, 3)).tolist() == [[0.5], [0.5]]


def test_half_precision_input_is_computed_in_full():
    network = get_mlp(3, 1, {"n_neurons": 4, "n_hidden_layers": 1})
    assert network(torch.zeros(2, 3, dtype=torch.float16)).dtype == torch.float32


def test_activations_are_found_in_any_case_and_none_is_the_identity():
    x = torch.linspace(-1, 1, 5)
    assert torch.equal(get_activation("ReLU")(x), x.clamp(min=0))
    assert torch.equal(get_activation(None)(x), x)


@pytest.mark.parametrize("name", sorted(set(ACTIVATIONS) - {"trunc_exp", "shifted_trunc_exp"}))
def test_activations_have_the_gradient_of_their_values(name):
    x = torch.linspace(-0.9, 0.93, 7, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(get_activation(name), x)


def test_trunc_exp_is_exp_with_a_bounded_slope():
    x = torch.tensor([1.0, 20.0], requires_grad=True)
    y = get_activation("trunc_exp")(x)
    torch.testing.assert_close(y, x.exp())
    torch.testing.assert_close(torch.autograd.grad(y.sum(), x)[0], torch.tensor([1.0, 15.0]).exp())


def test_an_unknown_network_is_refused_by_name():
    with pytest.raises(UserError, match='otype: "Transformer" is unknown; known are CutlassMLP, Ful'):
        get_mlp(3, 1, {"otype": "Transformer", "n_neurons": 4, "n_hidden_layers": 1})
