"""Where the residual stream lies in a block's output: read and written back at the same place."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pytest_crossdiff.engine.models.reading.streams import (
    PLAIN,
    StreamLayout,
    possible_layouts,
    tensor_of,
)

TEXTS, PLACES, WIDTH, STREAMS = 3, 11, 5, 4


def numbered(*shape):
    return torch.arange(float(torch.tensor(shape).prod())).reshape(shape)


@pytest.mark.parametrize(
    ("shape", "value"),
    [
        ((TEXTS, PLACES, WIDTH), lambda t, b, p: t[b, p]),
        ((PLACES, TEXTS, WIDTH), lambda t, b, p: t[p, b]),  # XLNet
        ((TEXTS, WIDTH, PLACES), lambda t, b, p: t[b, :, p]),  # SqueezeBERT
        ((STREAMS, TEXTS, PLACES, WIDTH), lambda t, b, p: t[:, b, p].flatten()),  # Gemma 3n
        ((TEXTS, PLACES, STREAMS, WIDTH), lambda t, b, p: t[b, p].flatten()),  # hyper-connections
    ],
)
def test_the_vector_of_each_place_is_read_whatever_the_order_of_axes(shape, value):
    output = numbered(*shape)
    (layout,) = possible_layouts((output, "cache"), TEXTS, PLACES)
    read = layout.read((output, "cache"), PLACES)
    for b in range(TEXTS):
        for p in range(PLACES):
            assert torch.equal(read[b, p], value(output, b, p))


def test_more_positions_than_tokens_leave_two_layouts_the_first_and_the_last_positions():
    output = numbered(TEXTS, PLACES + 2, WIDTH)
    first, last = possible_layouts(output, TEXTS, PLACES)
    assert torch.equal(first.read(output, PLACES), output[:, :PLACES])
    assert torch.equal(last.read(output, PLACES), output[:, 2:])


@pytest.mark.parametrize("shape", [(TEXTS * PLACES, WIDTH), (7, 9, WIDTH), (TEXTS, 2, WIDTH), ()])
def test_what_is_no_vector_at_each_place_has_no_layout(shape):
    assert possible_layouts(torch.zeros(shape), TEXTS, PLACES) == []
    assert possible_layouts("nothing", TEXTS, PLACES) == []


@given(st.permutations([0, 1, 2, 3]), st.booleans(), st.integers(0, 3))
def test_what_is_written_is_what_is_read_and_nothing_else_changes(order, last, extra):
    sizes = {0: TEXTS, 1: PLACES + extra, 2: STREAMS, 3: WIDTH}
    output = (numbered(*(sizes[axis] for axis in order)), "cache")
    layout = StreamLayout(order.index(0), order.index(1), last)
    before = output[0].clone()
    new = -layout.read(output, PLACES) - 1.0
    written = layout.write(output, new)
    assert torch.equal(layout.read(written, PLACES), new)
    assert torch.equal(output[0], before)
    assert written[1] == "cache"
    assert int((written[0] != before).sum()) == TEXTS * PLACES * STREAMS * WIDTH


def test_the_stream_is_a_blocks_output_or_the_first_tensor_in_it():
    x, other = torch.zeros(2, 3, 4), torch.ones(1)
    outputs = (x, (x, other), [x], {"feature_map": x, "other": other}, (None, x))
    assert all(tensor_of(output) is x for output in outputs)
    new = x + 1
    for output in outputs:
        written = PLAIN.write(output, new)
        assert type(written) is type(output)
        assert tensor_of(written) is new
