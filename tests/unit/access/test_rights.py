from augurium.access.rights import MANAGEMENT
from augurium.access.scopes import Scope


def test_rows_of_callers_are_shown_to_those_who_may_deploy_alone() -> None:
    assert MANAGEMENT["GET", "/api/v1/models/{model}/shadow"].scopes == {Scope.DEPLOY}
