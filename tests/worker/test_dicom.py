"""Storage commitment and priors, with pynetdicom and our own DICOMweb as the other side."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone
from pynetdicom import AE
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance

from tests.factories import PatientFactory, ScanFactory
from tests.webapp.dicom.conftest import associated, listener, peer_of, room, sender  # noqa: F401
from tests.webapp.dicom.objects import DX, radiograph
from tests.webapp.dicom.pacs import Pacs, request
from tests.webapp.dicomweb.conftest import filed
from webapp.accounts.models import Role, User
from webapp.accounts.services import membership_set, token_create
from webapp.core.errors import CodedError
from webapp.dicom.models import Commitment, PriorFetch
from webapp.dicom.priors import fetch_automatically, priors_request
from webapp.dicom.services import sender_set
from webapp.scans.models import Scan, Upload
from worker.jobs.dicom.job import DicomJob

pytestmark = pytest.mark.django_db(transaction=True)

TRANSACTION = "1.2.840.99.1"


@pytest.fixture
def committed(listener):  # noqa: F811
    """Asks for commitment as a sender does; returns the status."""

    def ask(*uids: str, transaction: str = TRANSACTION) -> int:
        entity = AE("MODALITY")
        entity.add_requested_context(StorageCommitmentPushModel)
        association = entity.associate("127.0.0.1", listener.port, ae_title="HILUM")
        status, _ = association.send_n_action(
            request(transaction, *uids), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        association.release()
        return status.Status

    return ask


def due() -> None:
    Commitment.objects.update(next_at=timezone.now() - timedelta(seconds=1))


def test_the_report_states_what_is_kept_and_what_is_not(sender, committed, peer_of, site):  # noqa: F811
    pacs, image = Pacs(), radiograph()
    filed(image, site)
    with pacs.running() as port:
        sender.report_to = peer_of(port=port)
        sender.save()
        assert committed(image.SOPInstanceUID, "1.2.3.999") == 0x0000
        assert DicomJob().step()
    [(kind, report)] = pacs.reports
    assert (kind, report.TransactionUID) == (2, TRANSACTION)
    assert [item.ReferencedSOPInstanceUID for item in report.ReferencedSOPSequence] == [image.SOPInstanceUID]
    [failed] = report.FailedSOPSequence
    assert (failed.ReferencedSOPInstanceUID, failed.FailureReason) == ("1.2.3.999", 0x0112)
    assert Commitment.objects.get().status == "done"


def test_an_object_that_is_not_yet_processed_is_not_promised(
    sender,  # noqa: F811
    committed,
    peer_of,  # noqa: F811
    site,
    associated,  # noqa: F811
):
    pacs, image = Pacs(), radiograph()
    with pacs.running() as port:
        sender.report_to = peer_of(port=port)
        sender.save()
        with associated() as association:
            assert association.send_c_store(image).Status == 0x0000
        assert committed(image.SOPInstanceUID) == 0x0000
        DicomJob().step()
        assert pacs.reports == []
        Upload.objects.update(status="refused", refusal="undecodable")
        due()
        DicomJob().step()
    [(kind, report)] = pacs.reports
    assert (kind, report.FailedSOPSequence[0].FailureReason) == (2, 0x0112)


def test_a_peer_that_is_away_gets_the_report_later(sender, committed, peer_of, site):  # noqa: F811
    image, pacs = radiograph(), Pacs()
    filed(image, site)
    with pacs.running() as port:
        sender.report_to = peer_of(port=port)
        sender.save()
    committed(image.SOPInstanceUID)
    DicomJob().step()
    commitment = Commitment.objects.get()
    assert (commitment.status, commitment.error_code, commitment.asked_again) == ("queued", "unreachable", 1)
    with pacs.running() as port:
        peer_of(port=port)
        due()
        DicomJob().step()
    assert [kind for kind, _ in pacs.reports] == [1]


def test_without_an_address_for_the_report_commitment_is_refused(sender, committed):  # noqa: F811
    assert committed("1.2.3") == 0x0110
    assert not Commitment.objects.exists()


def test_the_same_transaction_again_is_one_request(sender, committed, peer_of):  # noqa: F811
    sender.report_to = peer_of(port=1)
    sender.save()
    assert committed("1.2.3") == committed("1.2.3") == 0x0000
    assert Commitment.objects.count() == 1


@pytest.fixture
def patient(site):
    return PatientFactory(site=site, patient_id="P1")


def day(**before) -> str:
    return f"{timezone.now() - timedelta(**before):%Y%m%d}"


@pytest.fixture
def pacs():
    """Two chest studies of P1, one hand, one CT, one of somebody else."""
    made = [
        radiograph(StudyDate=day(days=700), SOPInstanceUID="1.2.1"),
        radiograph(StudyDate=day(days=30), SOPInstanceUID="1.2.2"),
        radiograph(StudyDate=day(days=20), SOPInstanceUID="1.2.3", Modality="MG"),
        radiograph(StudyDate=day(days=10), SOPInstanceUID="1.2.4", PatientID="P11"),
    ]
    return Pacs(made)


def fetched(patient, peer) -> PriorFetch:
    priors_request(patient=patient, peer=peer)
    assert DicomJob().step()
    return PriorFetch.objects.get()


def names() -> set[str]:
    return set(Upload.objects.values_list("filename", flat=True))


def test_priors_come_by_c_get(pacs, patient, peer_of, room):  # noqa: F811
    with pacs.running() as port:
        fetch = fetched(patient, peer_of(port=port, retrieve="get"))
    assert (fetch.status, fetch.studies, fetch.retrieved, fetch.refused) == ("done", 2, 2, 0)
    assert names() == {"1.2.1.dcm", "1.2.2.dcm"}
    assert pacs.asked[0].PatientID == "P1"


def test_the_newest_come_first_and_those_that_are_here_not_again(pacs, patient, peer_of):  # noqa: F811
    with pacs.running() as port:
        peer = peer_of(port=port, retrieve="get", most_studies=1)
        assert fetched(patient, peer).retrieved == 1
        assert names() == {"1.2.2.dcm"}
        ScanFactory(
            site=patient.site,
            series__study__patient=patient,
            series__study__study_instance_uid=pacs.images[1].StudyInstanceUID,
        )
        PriorFetch.objects.all().delete()
        fetched(patient, peer)
    assert names() == {"1.2.1.dcm", "1.2.2.dcm"} | {"chest.png"}


def test_priors_come_by_c_move_through_the_listener(pacs, patient, peer_of, listener):  # noqa: F811
    sender_set(site=patient.site, calling_title="PACS", networks=["127.0.0.0/8"])
    pacs.destination = ("127.0.0.1", listener.port, {"ae_title": "HILUM"})
    with pacs.running() as port:
        fetch = fetched(patient, peer_of(port=port, retrieve="move"))
    assert (fetch.status, fetch.retrieved) == ("done", 2)
    assert names() == {"1.2.1.dcm", "1.2.2.dcm"}


def test_priors_come_by_dicomweb(patient, peer_of, live_server, other_site, settings):  # noqa: F811
    for image in (radiograph(SOPInstanceUID="1.2.5"), radiograph(PatientID="P11")):
        filed(image, other_site)
    archive = User.objects.create_user("archive")
    role = Role.objects.create(name="archive", permissions=["scan.view"])
    membership_set(user=archive, site=other_site, role=role)
    _, token = token_create(user=archive, site=other_site, name="priors")
    settings.DICOM_CREDENTIALS = {"pacs": f"Bearer {token}"}
    peer = peer_of(url=f"{live_server.url}/dicomweb", retrieve="web", credential="pacs")
    fetch = fetched(patient, peer)
    assert (fetch.status, fetch.error_code, fetch.retrieved) == ("done", "", 1)
    assert names() >= {"1.2.5.dcm"}
    settings.DICOM_CREDENTIALS = {"pacs": "Bearer wrong"}
    PriorFetch.objects.all().delete()
    Scan.objects.filter(site=patient.site).delete()
    assert fetched(patient, peer).error_code == "unauthorized"


def test_a_pacs_that_refuses_or_is_away_is_named(pacs, patient, peer_of):  # noqa: F811
    pacs.find_status = 0xA700
    with pacs.running() as port:
        peer = peer_of(port=port, retrieve="get")
        assert fetched(patient, peer).error_code == "query_refused"
    PriorFetch.objects.all().delete()
    assert fetched(patient, peer).error_code == "unreachable"


def test_an_arriving_image_fetches_priors_once(patient, peer_of):  # noqa: F811
    scan = ScanFactory(site=patient.site, series__study__patient=patient)
    peer = peer_of(port=1, retrieve="get")
    fetch_automatically(Scan, [scan])
    assert not PriorFetch.objects.exists()
    peer.automatic = True
    peer.save()
    for _ in range(2):
        fetch_automatically(Scan, [scan, scan])
        PriorFetch.objects.update(status="done")
    assert PriorFetch.objects.get().requested_by is None


@pytest.mark.parametrize(
    "changes", [{"provisional": True}, {"patient_id": "P*"}, {"site__deidentify_on_ingest": True}]
)
def test_a_pacs_is_not_asked_where_the_identifier_would_mislead(patient, peer_of, changes):  # noqa: F811
    for name, value in changes.items():
        target = patient.site if name.startswith("site__") else patient
        setattr(target, name.removeprefix("site__"), value)
    with pytest.raises(CodedError):
        priors_request(patient=patient, peer=peer_of(port=1, retrieve="get"))


def test_class_of_the_object_is_compared(sender, committed, peer_of, site):  # noqa: F811
    pacs, image = Pacs(), radiograph()
    scan = filed(image, site)
    scan.metadata["SOPClassUID"] = "1.2.840.10008.5.1.4.1.1.2"
    scan.save()
    with pacs.running() as port:
        sender.report_to = peer_of(port=port)
        sender.save()
        committed(image.SOPInstanceUID)
        DicomJob().step()
    assert pacs.reports[0][1].FailedSOPSequence[0].FailureReason == 0x0119
    assert pacs.reports[0][1].FailedSOPSequence[0].ReferencedSOPClassUID == DX
