// Before and after: two pictures over one another and an edge to drag between them.
import { api } from "../../../scripts/api.js";
import { element, keepEvents } from "./elements.js";

function address({ file, subfolder, type }) {
  return api.apiURL(`/view?${new URLSearchParams({ filename: file, subfolder, type })}`);
}

// pictures: [{name, file, subfolder, type}]; the last one is compared with the others, of which a person chooses.
export function compareSlider(pictures) {
  const after = pictures.at(-1);
  const others = pictures.slice(0, -1);
  const below = element("img", { src: address(after), alt: after.name, draggable: false });
  const above = element("img", { draggable: false });
  const edge = element("div", { className: "edge" });
  const frame = element("div", { className: "pictures" }, below, above, edge);
  below.onload = () => (frame.style.aspectRatio = `${below.naturalWidth} / ${below.naturalHeight}`);
  const slider = element("input", { type: "range", min: 0, max: 100, step: "any", value: 50 });
  const choice = element("select", { title: "What to compare with", ariaLabel: "What to compare with" });
  choice.append(...others.map(({ name }, place) => element("option", { value: place }, name)));

  function show() {
    const before = others[choice.value];
    if (above.alt !== before.name) Object.assign(above, { src: address(before), alt: before.name });
    above.style.clipPath = `inset(0 ${100 - slider.value}% 0 0)`;
    edge.style.left = `${slider.value}%`;
    const told = `${before.name} left of the edge, ${after.name} right of it`;
    Object.assign(frame, { title: told });
    Object.assign(slider, { title: told, ariaLabel: told });
  }

  function follow(event) {
    const { left, width } = frame.getBoundingClientRect();
    slider.value = (100 * (event.clientX - left)) / width;
    show();
  }

  frame.addEventListener("pointerdown", (event) => {
    frame.setPointerCapture(event.pointerId);
    follow(event);
  });
  frame.addEventListener("pointermove", (event) => event.buttons & 1 && follow(event));
  slider.addEventListener("input", show);
  choice.addEventListener("change", show);
  show();
  const line = element("div", { className: "choice" }, choice, slider, element("span", {}, after.name));
  return keepEvents(element("div", { className: "sedic-compare" }, frame, line), "pointerdown", "pointermove", "pointerup");
}
