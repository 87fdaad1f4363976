// Elements that SEDIC nodes draw with: in the document, so that the classic canvas and Nodes 2.0 show them alike.
const sheet = document.createElement("link");
sheet.rel = "stylesheet";
sheet.href = new URL("../css/sedic.css", import.meta.url);
document.head.append(sheet);

// An element with properties and children; text is never read as markup.
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  const { attributes = {}, ...others } = properties;
  Object.assign(made, others);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Keeps a drag, a click or the wheel inside an element from moving the canvas or the node.
export function keepEvents(of, ...kinds) {
  for (const kind of kinds) of.addEventListener(kind, (event) => event.stopPropagation());
  return of;
}

// Adds a widget that is neither saved with the workflow nor sent to the server.
export function addElement(node, name, made, options) {
  const widget = node.addDOMWidget(name, "sedic", made, {
    serialize: false,
    hideOnZoom: false,
    margin: 4,
    getValue: () => "",
    setValue: () => {},
    ...options,
  });
  widget.serialize = false;
  return widget;
}
