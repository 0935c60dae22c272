// Opens the study named after the #, which browsers do not send: it is posted, and removed from the address.
const form = document.querySelector("[data-open]");
const asked = new URLSearchParams(location.hash.slice(1));
const NAMES = { StudyInstanceUID: "study_instance_uid", AccessionNumber: "accession_number" };

if (form && asked.size) {
  history.replaceState(null, "", location.pathname);
  for (const [name, field] of Object.entries(NAMES)) if (asked.has(name)) form.elements[field].value = asked.get(name);
  if (form.elements.accession_number.value || form.elements.study_instance_uid.value) form.submit();
}
