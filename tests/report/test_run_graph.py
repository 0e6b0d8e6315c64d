from sightline.report.pages.run_graph import lay_out

STEPS = ["resolve", "record", "train", "evaluate", "test"]
CHAIN = [("resolve", "record"), ("record", "train"), ("train", "evaluate"), ("evaluate", "test")]


def test_a_chain_runs_from_left_to_right():
    layout = lay_out(STEPS, CHAIN, down=False)
    assert [box.name for box in layout.boxes] == STEPS
    assert len({box.y for box in layout.boxes}) == 1
    assert all(one.x + one.width < other.x for one, other in zip(layout.boxes, layout.boxes[1:], strict=False))
    assert len(layout.arrows) == 4
    assert layout.width > layout.boxes[-1].x + layout.boxes[-1].width


def test_on_a_phone_it_runs_down_and_is_narrow():
    layout = lay_out(STEPS, CHAIN, down=True)
    assert len({box.x for box in layout.boxes}) == 1
    assert all(one.y + one.height < other.y for one, other in zip(layout.boxes, layout.boxes[1:], strict=False))
    assert layout.width < 330


def test_arrows_that_others_imply_are_left_out():
    layout = lay_out(STEPS, [*CHAIN, ("resolve", "test"), ("record", "test")], down=False)
    assert len(layout.arrows) == 4


def test_tasks_of_one_depth_stand_side_by_side():
    layout = lay_out(["a", "b", "c", "d"], [("a", "b"), ("a", "c"), ("b", "d"), ("c", "d")], down=False)
    a, b, c, d = layout.boxes
    assert b.x == c.x
    assert b.y + b.height < c.y
    assert a.y == d.y == round((b.y + c.y) / 2)
    assert len(layout.arrows) == 4


def test_unknown_tasks_and_circles_are_left_out():
    layout = lay_out(["a", "b"], [("a", "b"), ("b", "a"), ("a", "a"), ("x", "b")], down=False)
    assert len(layout.arrows) == 1


def test_no_tasks_give_an_empty_graph():
    assert lay_out([], [], down=True).boxes == []
