"""The life of a model version: registered once, promoted by a person, retired, rejected."""

from __future__ import annotations

import json
import shutil

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, transaction

from classifier.contract import Slot
from tests.factories import ModelVersionFactory, artifact, spec_of
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.audit.models import AuditEvent
from webapp.core import storage
from webapp.core.errors import CodedError
from webapp.core.jobs.table import IllegalTransition
from webapp.registry import selectors, services
from webapp.registry.models import ModelStatus, ModelVersion, Promotion
from webapp.registry.services import may_promote, model_promote, model_register

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def woken(monkeypatch):
    names = []
    monkeypatch.setattr(services, "notify_workers", names.append)
    return names


@pytest.fixture
def admin(person, site):
    return person("admin", role="admin", site=site)


@pytest.fixture
def register(tmp_path):
    """Registers a model file of its own: `register(seed=1, slot="ct")`."""

    def register(seed: int = 0, **details) -> ModelVersion:
        return model_register(artifact(tmp_path / f"{seed}.safetensors", seed=seed, **details))

    return register


@pytest.fixture
def shipped(tmp_path):
    """A folder of shipped artifacts; returns what installing it now changes: `shipped(cxr=3)`."""
    folder = tmp_path / "shipped"
    folder.mkdir()

    def install(**seeds: int) -> dict[str, str]:
        for slot, seed in seeds.items():
            artifact(folder / f"{slot}.safetensors", slot=slot, seed=seed)
        call_command("install_models", folder)
        return {str(version): version.status for version in ModelVersion.objects.order_by("slot", "number")}

    return install


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(CodedError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def model_files() -> list:
    return sorted((storage.root() / "models").glob("*"))


def test_a_registered_model_is_a_candidate_with_its_spec_card_and_file(register, tmp_path):
    version = register()
    version.refresh_from_db()
    assert (str(version), version.status) == ("cxr-1", "candidate")
    assert version.model_spec == spec_of()
    assert version.card["limits"] == ["knows nothing"]
    assert selectors.artifact_path(version).read_bytes() == (tmp_path / "0.safetensors").read_bytes()
    assert selectors.active_models() == {}


def test_the_same_bytes_are_the_earlier_version(register):
    first, files = register(), model_files()
    assert register() == first
    assert model_files() == files


def test_versions_are_numbered_within_their_slot(register):
    assert [str(register(seed, slot=slot)) for seed, slot in enumerate(["cxr", "ct", "cxr"])] == [
        "cxr-1",
        "ct-1",
        "cxr-2",
    ]


def test_a_file_that_is_no_model_is_not_kept(tmp_path):
    files = model_files()
    (tmp_path / "x").write_bytes(b"no model at all")
    assert code_of(model_register, tmp_path / "x") == "not_an_artifact"
    assert model_files() == files
    assert not ModelVersion.objects.exists()


def test_a_promotion_retires_the_one_before_and_is_recorded(register, admin, woken):
    first, second = register(1), register(2)
    model_promote(model_version=first, by=admin, reason="the first")
    promotion = model_promote(model_version=second, by=admin, reason="better at our hospital", override=True)
    first.refresh_from_db()
    assert (first.status, second.status, selectors.active_models()) == ("retired", "active", {"cxr": second})
    assert (promotion.previous, promotion.by, promotion.reason) == (first, admin, "better at our hospital")
    event = AuditEvent.objects.filter(action="model.promoted").latest("created_at")
    assert event.detail == {"slot": "cxr", "previous": str(first.pk), "overridden": True}
    assert woken == ["control"] * 2


def test_a_rollback_is_another_promotion(register, admin):
    first, second = register(1), register(2)
    for version in (first, second, first):
        model_promote(model_version=version, by=admin, reason="try it", override=True)
    assert selectors.active_models() == {"cxr": first}
    assert Promotion.objects.count() == 3


def test_only_who_may_promote_promotes(register, owner, person):
    version = register()
    for user in (owner, person("nobody")):
        assert code_of(model_promote, model_version=version, by=user, reason="mine") == "forbidden"


def test_a_model_that_serves_every_site_is_promoted_only_by_who_may_at_each(
    register, admin, person, site, other_site
):
    everyones, ours = register(1), register(2)
    ModelVersion.objects.filter(pk=ours.pk).update(site=site)
    ours.refresh_from_db()
    for version in (everyones, ours):
        assert not may_promote(admin, version)
        assert code_of(model_promote, model_version=version, by=admin, reason="mine") == "forbidden"
    membership_set(user=admin, site=other_site, role=Role.objects.get(name="admin"))
    assert may_promote(admin, ours)
    model_promote(model_version=ours, by=admin, reason="better everywhere")
    assert (ours.site, ours.status) == (None, "active"), "it serves all, so all may see it"
    assert not may_promote(admin, ours), "it is active already"


def test_a_sites_model_is_its_own_peoples_to_see_and_promote(
    register, admin, owner, outsider, person, other_site
):
    ours, everyones = register(1), register(2)
    ModelVersion.objects.filter(pk=ours.pk).update(site=admin.memberships.get().site)
    ours.refresh_from_db()
    their_admin = person("their_admin", role="admin", site=other_site)
    assert code_of(model_promote, model_version=ours, by=their_admin, reason="mine") == "forbidden"
    assert selectors.model_or_404(owner, ours.pk) == ours
    assert code_of(selectors.model_or_404, outsider, ours.pk) == "not_found"
    assert list(selectors.models_visible(outsider)) == [everyones]
    assert code_of(selectors.model_or_404, person("nobody"), everyones.pk) == "not_found"


def test_neither_the_active_nor_a_rejected_model_is_promoted_nor_without_reason(register, admin):
    version, bad = register(1), register(2)
    ModelVersion.objects.filter(pk=bad.pk).update(status=ModelStatus.REJECTED)
    assert code_of(model_promote, model_version=version, by=admin, reason=" ") == "reason_missing"
    model_promote(model_version=version, by=admin, reason="good")
    assert code_of(model_promote, model_version=version, by=admin, reason="again") == "conflict"
    assert code_of(model_promote, model_version=bad, by=admin, reason="why not") == "conflict"


@pytest.mark.parametrize("damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"x" * 99)])
def test_a_model_whose_file_is_damaged_is_not_promoted(register, admin, damage):
    version = register()
    damage(selectors.artifact_path(version))
    assert code_of(model_promote, model_version=version, by=admin, reason="good") == "artifact_damaged"


def test_the_database_lets_one_model_be_active_in_a_slot(db):
    ModelVersionFactory()
    ModelVersionFactory(slot=Slot.CT)
    with pytest.raises(IntegrityError), transaction.atomic():
        ModelVersionFactory()


def test_a_status_moves_only_as_its_table_states(db):
    version = ModelVersion.objects.get(pk=ModelVersionFactory(status="rejected").pk)
    version.status = ModelStatus.ACTIVE
    with pytest.raises(IllegalTransition):
        version.save()


def test_shipped_models_fill_empty_slots_and_repeating_changes_nothing(shipped):
    expected = {"cxr-1": "active", "phantom-1": "active"}
    assert shipped(cxr=1, phantom=2) == expected
    assert shipped() == expected
    assert Promotion.objects.filter(by=None, reason=services.INSTALLED).count() == 2


def test_a_newer_shipped_model_is_a_candidate(shipped):
    shipped(cxr=1)
    assert shipped(cxr=2) == {"cxr-1": "active", "cxr-2": "candidate"}
    assert shipped() == {"cxr-1": "active", "cxr-2": "candidate"}


def test_where_a_person_has_promoted_a_shipped_model_stays_a_candidate(shipped, register, admin):
    model_promote(model_version=register(7), by=admin, reason="the first")
    assert shipped(cxr=3) == {"cxr-1": "active", "cxr-2": "candidate"}


def test_a_damaged_shipped_file_is_named(shipped, tmp_path):
    (tmp_path / "shipped" / "cxr.safetensors").write_bytes(b"half a file")
    with pytest.raises(CommandError, match="model"):
        shipped()


def test_the_command_line_promotes_for_a_named_person(register, admin, capsys):
    first, second = register(1), register(2)
    call_command("promote_model", str(first.pk), by="admin", reason="first")
    call_command("promote_model", str(second.pk), by="admin", reason="second", override=True)
    assert "cxr-2 is active and replaces cxr-1" in capsys.readouterr().out
    with pytest.raises(CommandError, match="no user 'nobody'"):
        call_command("promote_model", str(first.pk), by="nobody", reason="x")
    with pytest.raises(CommandError, match="cannot become"):
        call_command("promote_model", str(second.pk), by="admin", reason="again")


def test_the_list_of_models_costs_one_query_with_permissions(register, owner, django_assert_num_queries):
    for seed in range(3):
        register(seed)
    with django_assert_num_queries(2):
        names = [
            (str(version), version.site, version.registered_by) for version in selectors.models_visible(owner)
        ]
    assert len(names) == 3


@pytest.fixture(autouse=True, scope="module")
def _clean_model_files():
    yield
    shutil.rmtree(storage.root() / "models", ignore_errors=True)


@pytest.mark.parametrize(
    "card",
    ['{"data": "a\\u0000b"}', '{"data": "\\ud800"}', '{"auc": NaN}', '{"auc": 1e999}', '{"auc": -Infinity}'],
)
@pytest.mark.parametrize("where", ["card", "spec"])
def test_a_description_that_no_database_can_store_is_refused_and_leaves_no_file(tmp_path, where, card):
    path = artifact(tmp_path / "a.safetensors")
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    if where == "card":
        header["__metadata__"]["card"] = card
    else:
        spec = json.loads(header["__metadata__"]["spec"])
        spec["name"] = "NAME"
        header["__metadata__"]["spec"] = json.dumps(spec).replace('"NAME"', card.split(": ")[1][:-1])
    raw = json.dumps(header).encode()
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + data[8 + length :])
    before = set(storage.root().rglob("*.safetensors"))
    with pytest.raises(CodedError) as refused:
        model_register(path)
    assert (refused.value.code, refused.value.status) == ("not_an_artifact", 400)
    assert set(storage.root().rglob("*.safetensors")) == before
    refused.value.message.encode()


def test_a_literal_backslash_is_no_nul(tmp_path):
    assert model_register(artifact(tmp_path / "a.safetensors", name="a\\u0000b")).name == "a\\u0000b"
