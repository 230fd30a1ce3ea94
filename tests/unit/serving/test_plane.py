from augurium.serving.plane import DataPlane
from augurium.serving.router import Router


def test_a_plane_is_ready_from_its_first_load_until_it_stops() -> None:
    plane = DataPlane(Router(), 10, 30.0)
    found = [plane.ready]
    plane.loaded.set()
    found.append(plane.ready)
    plane.stopping = True
    found.append(plane.ready)
    assert found == [False, True, False]
