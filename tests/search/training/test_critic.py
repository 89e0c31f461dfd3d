import torch

from search.training.critic import Critic, codec_loss, critic_loss


def test_a_logit_per_patch_of_sixteen_pixels() -> None:
    assert Critic()(torch.rand(2, 3, 64, 96)).shape == (2, 4, 6)


def test_the_critic_is_silent_inside_text() -> None:
    torch.manual_seed(0)
    critic, image = Critic().eval(), torch.rand(1, 3, 64, 64)
    covered = torch.ones(1, 64, 64)
    image.requires_grad_()
    upper = covered.clone()
    upper[:, 32:] = 0
    codec_loss(critic, image, upper).sum().backward()
    gradient = image.grad
    assert gradient is not None
    assert (gradient[:, :, :32] == 0).all()
    assert (gradient[:, :, 32:] != 0).any()
    image.grad = None
    codec_loss(critic, image, None).sum().backward()
    assert torch.equal(image.grad[:, :, 32:], gradient[:, :, 32:])


def test_the_critic_learns_to_tell_a_blur_and_the_codec_to_avoid_it() -> None:
    torch.manual_seed(0)
    critic = Critic()
    image = torch.rand(4, 3, 64, 64)
    blurred = torch.nn.functional.avg_pool2d(image, 5, 1, 2).requires_grad_()
    adam = torch.optim.Adam(critic.parameters(), 1e-3)
    before = critic_loss(critic, image, blurred).item()
    for _ in range(15):
        adam.zero_grad()
        critic_loss(critic, image, blurred).backward()
        adam.step()
    assert critic_loss(critic, image, blurred).item() < 0.5 * before
    assert blurred.grad is None
    codec_loss(critic, blurred, None).sum().backward()
    assert blurred.grad is not None
    nearer = blurred.detach() - 10 * blurred.grad
    assert codec_loss(critic, nearer, None).sum() < codec_loss(critic, blurred, None).sum()
