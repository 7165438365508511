import torch
from cascade_zero123.common.seeding import draw_generator
from cascade_zero123.training.encoder_fit import fit_image_encoder, latents_of_patches, thumbnails
from tiny_zero123 import SIZE, tiny_model


def flat_pictures(step: int) -> torch.Tensor:
    """16 pictures of one random colour each."""
    return torch.rand(16, 3, 1, 1, generator=draw_generator(0, "test", step)).expand(-1, -1, SIZE, SIZE)


def test_the_embedding_tells_the_colours_of_the_picture():
    model = tiny_model()
    fit_image_encoder(model, flat_pictures, 300)
    with torch.no_grad():
        embedding = model.tokens_of_image(flat_pictures(-1))[:, 0]
        padded = torch.cat([embedding, torch.ones(len(embedding), 1)], dim=1)
        colours = flat_pictures(-1)[:, :, 0, 0]
        told = padded @ torch.linalg.lstsq(padded, colours).solution
    assert (told - colours).pow(2).mean() < 0.1 * colours.var(0).mean()


def test_tokens_come_out_with_a_variance_of_one_and_the_encoder_stays_frozen():
    model = tiny_model()
    fit_image_encoder(model, flat_pictures, 20)
    assert abs(model.tokens_of_image(flat_pictures(20)).var(0).mean().item() - 1.0) < 1e-3
    assert not any(parameter.requires_grad for parameter in model.image_encoder.parameters())


def test_the_first_token_is_the_embedding_that_transformers_projects():
    model = tiny_model()
    images = torch.rand(2, 3, SIZE, SIZE)
    embedding = model.image_embedding(images)
    model.settings.patch_tokens = True
    tokens = model.image_embedding(images)
    assert tokens.shape == (2, 5, embedding.shape[-1])
    assert torch.allclose(tokens[:, :1], embedding, atol=1e-6)


def test_every_token_of_a_view_gets_the_pose_of_that_view():
    model = tiny_model()
    model.settings.patch_tokens = True
    embeddings = torch.zeros(1, 10, model.image_encoder.config.projection_dim)
    poses = torch.tensor([[[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]]])
    tokens = model.context(embeddings, poses, torch.zeros(1, *model.latent_shape)).tokens
    assert tokens.shape[1] == 10
    assert torch.equal(tokens[:, :5], tokens[:, :1].expand(-1, 5, -1))
    assert torch.equal(tokens[:, 5:], tokens[:, 5:6].expand(-1, 5, -1))
    assert not torch.allclose(tokens[:, 0], tokens[:, 5])


def test_thumbnails_and_patches_lie_in_the_order_of_the_tokens():
    model = tiny_model()
    images = torch.zeros(1, 3, SIZE, SIZE)
    images[:, :, :, SIZE // 2 :] = 1.0
    assert torch.equal(thumbnails(images).view(3, 8, 8)[0, 0], torch.tensor([-1.0] * 4 + [1.0] * 4))
    left_above, right_above, left_below, _ = latents_of_patches(model, images, 4)[0]
    assert torch.equal(left_above, left_below)
    assert not torch.equal(left_above, right_above)
