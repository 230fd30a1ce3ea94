"""What people read: sizes, dashes, and no steering of their terminal."""

from datetime import UTC, datetime

import pytest

from augurium.cli.output import print_fields, print_json, print_table, size


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_572_864, "1.5 MiB"),
        (2**50, "1024.0 TiB"),
    ],
)
def test_sizes_read_well(size_bytes: int, text: str) -> None:
    assert size(size_bytes) == text


def test_a_table_shows_whole_words_to_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    name = "model-with-a-very-long-name" * 10

    print_table(("name", "default"), [(name, None)])

    assert [name, "-"] in [line.split() for line in capsys.readouterr().out.splitlines()]


def test_values_are_not_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("[bold]name",), [("[red]x[/red] :smile:",)])

    printed = capsys.readouterr().out
    assert "[bold]name" in printed
    assert "[red]x[/red] :smile:" in printed


def test_values_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields([("description", "\x1b[2Jgone\r\u202e")])

    assert "?[2Jgone??" in capsys.readouterr().out


def test_fields_show_values_as_people_write_them(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields(
        [
            ("when", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
            ("metrics", {"auc": 0.987654321, "n": 3}),
            ("tags", {}),
            ("deployed", (1, 3)),
            ("tried", [{"engine": "onnx", "ok": True}, {"engine": "native"}]),
            ("error", 1.25e-07),
        ]
    )

    assert [line.split(maxsplit=1)[1].strip() for line in capsys.readouterr().out.splitlines()] == [
        "2026-01-02 03:04:05 UTC",
        "auc=0.987654, n=3",
        "-",
        "1, 3",
        "engine=onnx, ok=True; engine=native",
        "1.25e-07",
    ]


def test_json_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "é", "values": [1, None]})

    assert capsys.readouterr().out == '{"name":"é","values":[1,null]}\n'
