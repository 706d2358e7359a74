"""What the tests of single optimizers share: a loss to walk on, and what two forms of one method must agree in."""

import torch

from course_utils.seeding import make_generator


def matrix(m, n, seed=0):
    return torch.randn(m, n, dtype=torch.float64, generator=make_generator(seed))


def bumpy(w):
    """Return a non-convex loss whose curvature differs from entry to entry and couples the rows."""
    scale = torch.arange(1, w.numel() + 1, dtype=w.dtype).reshape(w.shape)
    return (0.1 * scale * w**2 + torch.sin(2 * w)).sum() + 0.5 * w.sum(0).square().sum()


def gradient_at(w, step):
    """Return the gradient there with the noise of a batch: SOAP's first two would be the same without it."""
    w = w.detach().requires_grad_()
    return torch.autograd.grad(bumpy(w), w)[0] + 0.3 * torch.randn(
        w.shape, dtype=w.dtype, generator=make_generator(step)
    )


def by_rule(update, state, start, num_steps, **hyper):
    """Return the point after so many steps of a rule, its delta added each time."""
    w = start.clone()
    for step in range(num_steps):
        delta, state = update(gradient_at(w, step), state, **hyper)
        w = w + delta
    return w


def by_class(make, start, num_steps, scheduler=None):
    """Return the parameter and its optimizer after so many steps of the class that `make` makes of [parameter]."""
    w = torch.nn.Parameter(start.clone())
    optimizer = make([w])
    schedule = scheduler(optimizer) if scheduler is not None else None
    for step in range(num_steps):
        w.grad = gradient_at(w, step)
        optimizer.step()
        if schedule is not None:
            schedule.step()
    return w, optimizer


def remembered(optimizer):
    """Return the shapes of all tensors in the state of an optimizer of one parameter, sorted."""
    (state,) = optimizer.state.values()
    return sorted(tuple(value.shape) for value in state.values() if torch.is_tensor(value))


def assert_agree(one, other, start, tolerance=1e-10):
    """Assert that two walks end at one point, and not where they began."""
    assert (other.detach() - start).abs().min() > 1e-3
    torch.testing.assert_close(one.detach(), other.detach(), rtol=tolerance, atol=tolerance)
