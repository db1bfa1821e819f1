import torch

from pipeline.motion.splines import knots

GRID = knots((31, 40), (8.0, 11.0), like=torch.zeros(1, dtype=torch.float64))


def test_equal_coefficients_make_a_constant_field():
    assert GRID.field(torch.ones(GRID.count, dtype=torch.float64)).allclose(
        torch.ones(31, 40, dtype=torch.float64)
    )


def test_a_field_that_rises_evenly_costs_no_bending():
    high, wide = GRID.shape
    even = torch.arange(high, dtype=torch.float64)[:, None] + 2 * torch.arange(wide)
    coefficients = even.flatten()
    assert coefficients @ GRID.bending() @ coefficients < 1e-9


def test_bending_energy_is_the_sum_of_squared_second_differences():
    coefficients = torch.randn(
        GRID.count, generator=torch.Generator().manual_seed(1), dtype=torch.float64
    )
    field = GRID.field(coefficients)
    total = 0.0
    for first in (0, 1):
        for second in (0, 1):
            slope = torch.gradient(field, dim=first)[0]
            total += torch.gradient(slope, dim=second)[0].square().sum()
    assert torch.isclose(coefficients @ GRID.bending() @ coefficients, total)


def test_products_are_the_sums_over_pixels():
    generator = torch.Generator().manual_seed(2)
    weight = torch.rand(2, 31, 40, generator=generator, dtype=torch.float64)
    splines = GRID.field(torch.eye(GRID.count, dtype=torch.float64))
    brute = torch.einsum("nyx,kyx,lyx->nkl", weight, splines, splines)
    assert GRID.products(weight).allclose(brute)
    assert GRID.moments(weight).allclose(torch.einsum("nyx,kyx->nk", weight, splines))
