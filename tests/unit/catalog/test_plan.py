from slipway.control.changes import Change, FieldChange, plan


def test_a_plan_names_what_is_created_updated_and_deleted() -> None:
    desired = {"a": {"x": 1}, "b": {"x": 1, "y": {"z": [1]}}, "same": {"x": 1}}
    deployed = {"b": {"x": 1, "y": {"z": [2], "gone": True}}, "c": {}, "same": {"x": 1}}
    assert plan("Deployment", desired, deployed) == [
        Change("create", "Deployment", "a"),
        Change(
            "update",
            "Deployment",
            "b",
            (FieldChange("y.gone", True, None), FieldChange("y.z", [2], [1])),
        ),
        Change("delete", "Deployment", "c"),
    ]
