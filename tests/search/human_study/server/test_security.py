"""What a stranger or a dishonest participant tries, and is refused."""

import re
from pathlib import Path
from typing import Any

import pytest
from served_study import ORIGIN, Served, write_study
from sqlalchemy import text

from search.human_study.manifest import FILE, Study, StudyError
from search.human_study.server.app import read_study
from search.human_study.server.guard import JOINING, MOST_BODY_BYTES, WRONG_LINKS


def given(served: Served) -> int:
    """Number of answers that were given."""
    with served.database.reading() as session:
        query = "select count(*) from answer where preferred is not null"
        return int(session.execute(text(query)).scalar_one())


def refused(response: Any, *statuses: int) -> bool:
    """Whether a response has one of the statuses and one line of JSON that says why."""
    return response.status_code in statuses and set(response.json()) == {"error"}


WRONG = (
        "/p/{wrong}", "/p/{wrong}/state", "/p/{short}/state", "/p/{organiser}/state",
        "/organiser/{wrong}", "/organiser/{token}/progress", "/organiser/{invitation}/answers.csv",
        "/join/{wrong}", "/join/{organiser}", "/join/{token}",
)  # fmt: skip


def test_a_wrong_link_opens_nothing(served: Served) -> None:
    person, keys = served.join(), served.keys
    for path in WRONG:
        address = path.format(
            wrong="a" * 32, short=person.token[:-1], token=person.token,
            organiser=keys.organiser(), invitation=keys.invitation(),
        )  # fmt: skip
        assert refused(served.client.get(address), 404), path


def test_another_participants_trial_cannot_be_answered_or_seen(served: Served) -> None:
    one, other = served.join(), served.join()
    mine, theirs = one.checked(), other.checked()
    assert refused(one.answer(theirs), 404)
    assert refused(one.picture(theirs, "original"), 404)
    assert given(served) == 0
    assert one.picture(mine, "original").status_code == 200


def test_links_are_random_and_not_in_the_database(served: Served) -> None:
    people = [served.join() for _ in range(5)]
    assert len({person.token for person in people}) == 5
    assert all(len(person.token) >= 32 for person in people)
    stored = b"".join(path.read_bytes() for path in served.folder.glob("answers.sqlite*"))
    assert not any(person.token.encode() in stored for person in people)
    assert (served.folder / "secret.key").stat().st_mode & 0o077 == 0


FORGED: list[dict[str, Any]] = [
    {"trial": "x" * 32}, {"trial": "x" * 65}, {"trial": 3}, {"trial": None}, {"choice": "both"},
    {"choice": 1}, {"response_ms": -1}, {"response_ms": "900"}, {"response_ms": 1e99},
    {"preferred": 1.0}, {"kind": "catch"},
    {"trial": "' OR 1=1 --"}, {"choice": "<script>alert(1)</script>"},
]  # fmt: skip


def test_forged_answers_are_refused(served: Served) -> None:
    person = served.join()
    state = person.checked()
    for change in FORGED:
        body = {"trial": state["trial"], "choice": "left", "response_ms": 900, **change}
        assert refused(person.post("answer", **body), 404, 422), change
    assert given(served) == 0


def test_what_is_no_report_is_refused(served: Served) -> None:
    person = served.join()
    person.checked()
    headers = {**person.headers(), "Content-Type": "application/json"}
    for body in (b"", b"[]", b"null", b"{", b"\xff\xfe", b'{"trial": NaN}', b"[" * 4000):
        response = served.client.post(f"{person.link}/answer", content=body, headers=headers)
        assert refused(response, 422), body


STRANGE: list[tuple[dict[str, str], int]] = [
    ({"Origin": "http://elsewhere.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://["}, 403),
    ({"Origin": ""}, 403),
    ({"Origin": "http://127.0.0.1:8400.elsewhere.example"}, 403),
    ({"X-CSRF-Token": ""}, 403),
    ({"X-CSRF-Token": "0" * 48}, 403),
    ({"X-CSRF-Token": "é".encode().decode("latin-1")}, 403),
    ({"Content-Type": "text/plain"}, 415),
    ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
]


def test_changes_come_from_pages_of_the_study_alone(served: Served) -> None:
    person = served.join()
    body = {"trial": person.checked()["trial"], "choice": "left", "response_ms": 900}
    for headers, status in STRANGE:
        sent = {
            name: text.encode("latin-1") for name, text in {**person.headers(), **headers}.items()
        }
        response = served.client.post(f"{person.link}/answer", json=body, headers=sent)
        assert refused(response, status), headers
    assert given(served) == 0


def test_the_token_of_another_page_is_refused(served: Served) -> None:
    one, other = served.join(), served.join()
    state = one.checked()
    headers = {**one.headers(), "X-CSRF-Token": served.keys.csrf(other.token)}
    body = {"trial": state["trial"], "choice": "left", "response_ms": 900}
    assert refused(served.client.post(f"{one.link}/answer", json=body, headers=headers), 403)


def test_nothing_is_changed_by_get(served: Served) -> None:
    person = served.join()
    for path in ("answer", "screen", "plates"):
        assert served.client.get(f"{person.link}/{path}").status_code == 405


@pytest.mark.parametrize("chunked", [False, True])
def test_an_oversize_body_is_refused(served: Served, chunked: bool) -> None:
    person = served.join()
    person.checked()
    body = b" " * (MOST_BODY_BYTES + 1)
    headers = {**person.headers(), "Content-Type": "application/json"}
    content = iter([body[:3000], body[3000:]]) if chunked else body
    response = served.client.post(f"{person.link}/answer", content=content, headers=headers)
    assert refused(response, 413)


ELSEWHERE = (
    "../secret.key", "..%2fsecret.key", "%2e%2e/%2e%2e/study.json", "..%5c..%5cstudy.json",
    "....//study.json", "%2fetc%2fpasswd", "0/original", "original", "%00", "%C3%A9", "a" * 5000,
)  # fmt: skip


@pytest.mark.parametrize("place", ["{link}/picture/{name}.png", "{link}/plate/{name}.png",
                                   "{link}/picture/{name}", "/static/{name}"])  # fmt: skip
def test_no_path_leads_to_other_files(served: Served, place: str) -> None:
    person = served.join()
    person.checked()
    for name in ELSEWHERE:
        response = served.client.get(place.format(link=person.link, name=name))
        assert response.status_code in (404, 405), name
        assert b"PNG" not in response.content
        assert b"sha256" not in response.content


def test_nothing_is_listed(served: Served) -> None:
    for path in ("/static", "/static/", "/pictures/0/original.png", "/study.json"):
        assert served.client.get(path).status_code == 404


def test_a_manifest_cannot_name_files_elsewhere(study_folder: Path) -> None:
    content = (study_folder / FILE).read_text()
    (study_folder / FILE).write_text(
        re.sub(r',\n *"sha256": "\w+"', "", content).replace("pictures/0/catch", "../catch", 1)
    )
    with pytest.raises(StudyError, match="outside the folder"):
        Study.read(study_folder)
    with pytest.raises(StudyError):
        read_study(study_folder)


def test_scripts_in_names_are_shown_as_text(tmp_path: Path) -> None:
    name = "<script>alert(1)</script>"
    write_study(tmp_path, name, {"jpeg": "<img src=x onerror=alert(1)>"})
    served = Served(tmp_path)
    page = served.client.get(f"/organiser/{served.keys.organiser()}")
    assert name not in page.text
    assert "&lt;script&gt;" in page.text
    progress = served.client.get(f"/organiser/{served.keys.organiser()}/progress")
    # Names of codecs are in JSON alone, which the page's script writes as text.
    assert progress.headers["content-type"] == "application/json"
    error = served.client.get("/p/<script>alert(1)<%2fscript>", headers={"Accept": "text/html"})
    assert error.status_code == 404
    assert "<script>alert" not in error.text


def test_every_response_has_safe_headers(served: Served) -> None:
    person = served.join()
    invitation = f"/join/{served.keys.invitation()}"
    for path in (
        "/",
        person.link,
        f"{person.link}/state",
        "/p/none",
        "/static/study.css",
        invitation,
    ):
        response = served.client.get(path)
        policy = response.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "set-cookie" not in response.headers
        if not path.startswith("/static"):
            assert response.headers["cache-control"] == "no-store"
        assert not re.search(r"<script(?! src=)|\son\w+=|style=", response.text)


def test_other_names_of_this_machine_are_refused(served: Served) -> None:
    response = served.client.get("/", headers={"Host": "elsewhere.example"})
    assert response.status_code == 400


def test_guessing_links_is_slowed_down(served: Served) -> None:
    statuses = [
        served.client.get(f"/p/{n}/state").status_code for n in range(WRONG_LINKS.amount + 5)
    ]
    assert statuses[0] == 404
    assert statuses[-1] == 429


def test_joining_is_bounded(served: Served) -> None:
    keys, statuses = served.keys, []
    headers = {"Origin": ORIGIN, "X-CSRF-Token": keys.csrf(keys.invitation())}
    for _ in range(JOINING.amount + 1):
        response = served.client.post(f"/join/{keys.invitation()}", json={}, headers=headers)
        statuses.append(response.status_code)
    assert statuses == [200] * JOINING.amount + [429]
