import torch

from threestudio import find

DIRS = torch.zeros(3, 4, 5, 3)


def background(**config):
    return find("solid-color-background")(config)


def test_white_by_default():
    assert (background()(dirs=DIRS) == 1.0).all()


def test_a_learned_color_is_a_parameter():
    module = background(color=[0.2, 0.4, 0.6], learned=True)
    module(dirs=DIRS).sum().backward()
    assert module.env_color.grad.tolist() == [60.0, 60.0, 60.0]


def test_augmentation_draws_one_color_a_view_in_training_only_and_repeats_with_the_step():
    module = background(random_aug=True, random_aug_prob=1.0)

    def drawn(step):
        module.update_step(0, step)
        return module(dirs=DIRS)

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))
    assert (drawn(1) == drawn(1)[:, :1, :1]).all() and not torch.equal(drawn(1)[0], drawn(1)[1])
    module.eval()
    assert (drawn(1) == 1.0).all()
