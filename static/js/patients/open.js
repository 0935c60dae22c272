// A study named behind the #, which browsers send to nobody: it is posted, and taken out of the address.
const form = document.querySelector("[data-open]");
const said = new URLSearchParams(location.hash.slice(1));
const NAMES = { StudyInstanceUID: "study_instance_uid", AccessionNumber: "accession_number" };

if (form && said.size) {
  history.replaceState(null, "", location.pathname);
  for (const [name, field] of Object.entries(NAMES)) if (said.has(name)) form.elements[field].value = said.get(name);
  if (form.elements.accession_number.value || form.elements.study_instance_uid.value) form.submit();
}
