"""The browser modules in isolation: manifest, heatmap and colours, run in Chromium without a server."""

from __future__ import annotations

import json
import mimetypes
import unicodedata

import numpy as np
import pytest

from tests.flows.conftest import ROOT

pytestmark = pytest.mark.browser
SOMEWHERE = "http://modules.test"


@pytest.fixture
def run(chromium):
    """Runs JavaScript with the exports of one of our modules as `m`."""
    page = chromium.new_page()

    def serve(route) -> None:
        path = ROOT / route.request.url.removeprefix(SOMEWHERE + "/")
        if path.is_file():
            route.fulfill(path=path, content_type=mimetypes.guess_type(path.name)[0] or "text/plain")
        else:
            route.fulfill(body="<!doctype html>", content_type="text/html")

    page.route("**/*", serve)
    page.goto(f"{SOMEWHERE}/")
    yield lambda module, code: page.evaluate(
        f"async () => {{ const m = await import('{SOMEWHERE}/static/js/{module}'); return {code}; }}"
    )
    page.close()


@pytest.mark.parametrize(
    ("rows", "dropped", "whose"),
    [
        (["anna/a.png,ANNA", "bert/a.png,BERT"], ["anna/a.png", "bert/a.png"], ["ANNA", "BERT"]),
        (["anna/a.png,ANNA", "bert/a.png,BERT"], ["x/bert/a.png", "x/anna/a.png"], ["BERT", "ANNA"]),
        (["x/anna/a.png,ANNA"], ["anna/a.png"], ["ANNA"]),
        ([r"Anna\A.PNG,ANNA", "./b.png,BERT"], ["anna/a.png", "B.png"], ["ANNA", "BERT"]),
        (["anna/a.png,ANNA", "bert/a.png,BERT"], ["a.png"], [None]),
        (["a.png,ANNA", "a.png,BERT"], ["a.png"], [None]),
        (["a.png,ANNA", "a.png,ANNA"], ["a.png"], ["ANNA"]),
        (["a.png,ANNA", "bert/a.png,BERT"], ["a.png", "bert/a.png"], [None, None]),
        (["a.png,ANNA"], ["anna/a.png", "bert/a.png"], [None, None]),
        (["a.png,ANNA"], ["aa.png", "b.png"], [None, None]),
        (["Möwe.png,ANNA"], [unicodedata.normalize("NFD", "möwe.png")], ["ANNA"]),
    ],
)
def test_a_file_is_named_by_one_line_of_the_manifest_or_by_none(run, rows, dropped, whose):
    cells = [row.split(",") for row in rows]
    lines = [{"number": n, "image": image, "patient": patient} for n, (image, patient) in enumerate(cells)]
    served = f"window.fetch = async () => Response.json({{ lines: {json.dumps(lines)} }})"
    read = f"({served}, await m.readManifest('/', {{ file: new File([], 'm.csv') }})).lines"
    code = f"m.named({read}, {json.dumps(dropped)}).map((e) => e?.patient ?? null)"
    assert run("upload/manifest.js", code) == whose


def test_days_are_counted_across_months_and_summer_time(run):
    assert run("upload/manifest.js", "m.addDays('2026-02-27', 3)") == "2026-03-02"
    assert run("upload/manifest.js", "m.addDays('2026-03-28', 2)") == "2026-03-30"


DIALOG = """async (typed) => {
    document.body.innerHTML = `<div data-patients="/patients/"><input name="patient_id"><p data-match></p>
        <label data-create hidden><input type="checkbox"></label></div>`;
    const known = { "P-42": { label: "DOE, Jane", facts: "f", studies: 1 } };
    window.fetch = async () => new Response(JSON.stringify({ patients: known }));
    const [dialog, field] = [document.querySelector("div"), document.querySelector("[name=patient_id]")];
    m.watchMove(dialog);
    const shown = [];
    for (const id of typed) {
        field.value = id;
        field.dispatchEvent(new Event("input"));
        const before = dialog.querySelector("[data-match]").textContent;
        await new Promise((done) => setTimeout(done, 600));
        const box = dialog.querySelector("[data-create] input");
        shown.push([before, dialog.querySelector("[data-match]").textContent, box.required]);
    }
    return shown;
}"""


def test_the_move_dialog_states_who_the_identifier_is_and_asks_for_a_new_patient(run):
    assert run("scan/move.js", f"await ({DIALOG})(['P-42', 'P-4Z', 'P-42'])") == [
        ["", "DOE, Jane: f; 1 study", False],
        ["", "No patient at this site has this ID.", True],
        ["", "DOE, Jane: f; 1 study", False],
    ]


def test_the_map_is_bilinear_inside_and_nothing_outside(run):
    grid = "[[0, 2], [4, 6]]"
    places = "[[0, 0], [1, 0], [0.5, 0], [0.5, 0.5], [-0.4, 0], [-0.6, 0], [1.6, 1]]"
    values = run("scan/overlay.js", f"{places}.map(([x, y]) => m.sampler({grid})(x, y))")
    assert values == [0, 2, 1, 3, 0, 0, 0]


def test_a_grid_of_one_row_is_drawn_too(run):
    assert run("scan/overlay.js", "m.sampler([[1, 3]])(0.5, 0)") == 2


def test_an_affine_is_turned_round(run):
    x, y = 10 * 3 + 2 * 4 + 5, -3 * 3 + 20 * 4 + 7
    a, b, c, d, e, f = run("scan/overlay.js", "m.inverse([10, 2, 5, -3, 20, 7])")
    assert [a * x + b * y + c, d * x + e * y + f] == pytest.approx([3, 4])


PAINTED = """(() => {
    const cam = { grids: { a: [[%s]] }, affine: [10, 0, 4.5, 0, 10, 4.5], scale: 2 };
    const canvas = m.paint(cam, "a", { rows: 10, columns: 10 });
    return [...canvas.getContext("2d").getImageData(canvas.width / 2, canvas.height / 2, 1, 1).data];
})()"""


def test_a_weak_map_looks_weak_and_a_negative_one_is_not_drawn(run):
    *_, strong = run("scan/overlay.js", PAINTED % 2)
    *_, weak = run("scan/overlay.js", PAINTED % 0.2)
    *_, against = run("scan/overlay.js", PAINTED % -2)
    assert strong == 255
    assert weak == pytest.approx(25, abs=2)
    assert against == 0


def test_what_lies_below_the_threshold_is_not_drawn(run):
    below = (PAINTED % 0.8).replace(
        "{ rows: 10, columns: 10 }", "{ rows: 10, columns: 10 }, { threshold: 0.5 }"
    )
    assert run("scan/overlay.js", below) == [0, 0, 0, 0]


@pytest.mark.parametrize(
    ("rows", "columns", "framed"), [(30, 20, None), (60, 80, [0, 0, 20, 30]), (30, 21.5, [0, 0, 20, 30])]
)
def test_a_map_of_a_part_of_the_image_is_framed(run, rows, columns, framed):
    cam = "{ grids: { a: [[0, 2], [0, 1], [0, 0]] }, affine: [10, 0, 4.5, 0, 10, 4.5], scale: 2 }"
    assert run("scan/overlay.js", f"m.frame({cam}, {{ rows: {rows}, columns: {columns} }})") == framed


def test_the_frame_of_a_turned_map_is_turned_too(run):
    cam = "{ grids: { a: [[0, 2, 1]] }, affine: [0, 10, 4.5, 10, 0, 4.5], scale: 2 }"
    assert run("scan/overlay.js", f"m.frame({cam}, {{ rows: 60, columns: 60 }})") == [0, 0, 10, 30]


OUTLINED = """(() => {
    const grid = [[0, 0, 0], [0, 2, 0], [0, 0, 0]];
    const cam = { grids: { a: grid }, affine: [10, 0, 4.5, 0, 10, 4.5], scale: 2 };
    const path = m.outline(cam, "a", { rows: 30, columns: 30 }, 0.5);
    const context = document.createElement("canvas").getContext("2d");
    const near = ([x, y]) => { context.lineWidth = 2; return context.isPointInStroke(path, x, y); };
    return [[15, 10], [15, 20], [10, 15], [20, 15], [15, 15], [2, 2]].map(near);
})()"""


def test_an_outline_goes_round_where_the_map_is_strong(run):
    assert run("scan/overlay.js", OUTLINED) == [True, True, True, True, False, False]


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [("inferno", [0, 0, 4], [252, 255, 164]), ("cividis", [0, 34, 78], [254, 232, 56])],
)
def test_colours_run_from_dark_to_pale_yellow(run, name, first, last):
    values = f"[-1, 0, 1, 9].map((value) => m.colourOf(value, '{name}'))"
    assert run("scan/colours.js", values) == [first, first, last, last]


def test_both_sides_colour_a_map_alike(run):
    from classifier.images.heatmap import inferno

    values = [step / 50 for step in range(51)]
    ours = run("scan/colours.js", f"{values}.map((value) => m.colourOf(value, 'inferno'))")
    np.testing.assert_allclose(ours, 255 * inferno(values), atol=1e-9)


def test_ages_are_reported_in_one_unit(run):
    assert run("times.js", "[5, 61, 7200, 200000].map(m.ago)") == ["5 s", "1 min", "2 h", "2 d"]


def test_words_stand_as_they_are_where_no_catalogue_is_loaded(run):
    text = "[0, 1, 2].map((n) => m.interpolate(m.ngettext('%(n)s file', '%(n)s files', n), { n }))"
    assert run("gettext.js", text) == ["0 files", "1 file", "2 files"]
    assert run("gettext.js", "m.interpolate(m.gettext('%(a)s of %(b)s'), { a: '$&' })") == "$& of %(b)s"


def test_words_are_the_catalogues_where_one_is_loaded(run):
    django = "globalThis.django = { gettext: (text) => `G ${text}`, ngettext: (one, many, n) => `N ${many}` }"
    assert run("gettext.js", f"({django}, [m.gettext('a'), m.ngettext('a', 'b', 1)])") == ["G a", "N b"]
