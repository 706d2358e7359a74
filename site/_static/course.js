// A table with class "ledger" gets a field for words, and a list of choices for each column whose head asks for one.
// A short one is seen at a glance and gets neither.
for (const table of document.querySelectorAll("table.ledger")) {
  const rows = [...table.tBodies[0].rows];
  if (rows.length < 20) continue;
  const bar = document.createElement("form");
  bar.className = "ledger-filter";
  bar.setAttribute("role", "search");
  const count = document.createElement("output");
  const tests = [];

  function add(label, control) {
    const frame = document.createElement("label");
    frame.append(label, control);
    bar.append(frame);
    control.addEventListener("input", apply);
  }

  function apply() {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !tests.every((test) => test(row));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} rows`;
  }

  const words = document.createElement("input");
  words.type = "search";
  tests.push((row) => words.value.toLowerCase().split(/\s+/).every((word) => row.textContent.toLowerCase().includes(word)));
  add("Words", words);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    if (!("filter" in head.dataset)) return;
    const choice = document.createElement("select");
    const values = [...new Set(rows.map((row) => row.cells[column].textContent.trim()))];
    values.sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
    for (const value of ["all", ...values]) choice.add(new Option(value || "none", value));
    tests.push((row) => choice.selectedIndex === 0 || row.cells[column].textContent.trim() === choice.value);
    add(head.textContent, choice);
  });
  bar.addEventListener("submit", (event) => event.preventDefault());
  bar.append(count);
  table.parentElement.before(bar);
  apply();
}

// The theme's search button names itself "Search" and shows "Search Ctrl+K": what is read aloud is what is shown.
for (const button of document.querySelectorAll(".search-button__button")) button.removeAttribute("aria-label");
// So does that of a folded cell.
for (const button of document.querySelectorAll("details.hide > summary")) button.removeAttribute("aria-label");

// The theme's button that prints had its program in an attribute, which the policy of the pages forbids.
for (const button of document.querySelectorAll("[data-prints]")) button.addEventListener("click", () => window.print());

// From a disk the search finds pages, but no browser lets it read them for a summary.
if (location.protocol === "file:") DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;

// A formula that is wider than the page shrinks, to seven tenths. One that is wider still can be scrolled, by keyboard too.
window.addEventListener("load", async () => {
  await window.MathJax?.startup?.promise;
  for (const formula of document.querySelectorAll("mjx-container[display='true']")) {
    const parts = [formula.parentElement, formula];
    const wide = () => parts.find((part) => part.scrollWidth > part.clientWidth);
    for (let percent = 95; percent >= 70 && wide(); percent -= 5) parts[0].style.fontSize = `${percent}%`;
    if (wide()) wide().tabIndex = 0;
  }
});
