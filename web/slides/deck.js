// Formulas first, then the sizes, then the deck: what reveal.js lays out has its final height.
renderMathInElement(document.body, {
  delimiters: [
    { left: "$$", right: "$$", display: true },
    { left: "$", right: "$", display: false },
  ],
  ignoredClasses: ["highlight", "output"],
  throwOnError: false,
});

const ROOM = 580; // pixels below the heading
const SMALLEST = 0.8; // below this, code could not be read from the last row

// A formula that is wider than the slide, or that runs into its number, is set smaller.
function shrinkToWidth(formula) {
  formula.style.fontSize = "";
  const room = formula.clientWidth;
  let missing = formula.scrollWidth - room;
  const number = formula.querySelector(".katex-tag");
  const last = [...formula.querySelectorAll(".katex-html > .katex-base")].at(-1);
  if (number && last) {
    const scale = formula.getBoundingClientRect().width / formula.offsetWidth; // the deck fills the window
    const apart = (number.getBoundingClientRect().left - last.getBoundingClientRect().right) / scale;
    missing = Math.max(missing, 2 * (16 - apart)); // it is centred: both sides have to give way
  }
  if (missing > 0) formula.style.fontSize = `${Math.max(SMALLEST, 1 - missing / room)}em`;
}

function fit(slide) {
  const body = slide.querySelector(".body");
  const { display, width } = slide.style;
  Object.assign(slide.style, { display: "block", width: "1280px" }); // what is hidden has no size
  body.style.zoom = 1;
  body.querySelectorAll(".katex-display").forEach(shrinkToWidth);
  const scale = Math.max(SMALLEST, Math.min(1, ROOM / body.scrollHeight));
  if (scale < 1) body.style.zoom = scale;
  Object.assign(slide.style, { display, width });
}

const deck = new Reveal({
  width: 1280,
  height: 720,
  margin: 0,
  center: false,
  hash: true,
  transition: "none",
  backgroundTransition: "none",
  controls: false,
  slideNumber: "c/t",
  pdfSeparateFragments: false,
  plugins: [RevealNotes],
});

function mark(slide) {
  const current = slide.dataset.section;
  for (const link of document.querySelectorAll(".rail a")) {
    const here = link.dataset.section === current;
    link.classList.toggle("here", here);
    if (here) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
}

function declareReady() {
  document.documentElement.dataset.ready = "true";
}

const onPaper = /print-pdf|view=print/.test(location.search); // there the pages are cut after the slides are ready
deck.on("ready", (event) => {
  document.querySelectorAll(".slides section").forEach(fit);
  mark(event.currentSlide);
  if (!onPaper) declareReady();
});
deck.on("pdf-ready", declareReady);
deck.on("slidechanged", (event) => mark(event.currentSlide));

const slides = [...document.querySelectorAll(".slides > section")];
for (const link of document.querySelectorAll(".rail a")) {
  link.addEventListener("click", (event) => {
    event.preventDefault();
    deck.slide(slides.findIndex((slide) => slide.dataset.section === link.dataset.section));
  });
}
// A font that arrives late would change the heights that were measured.
Promise.all([...document.fonts].map((font) => font.load())).then(() => deck.initialize());
