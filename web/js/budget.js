// The bar of a file's bytes: what the reference, the words, the masks, and header and framing take of them.
import { element } from "./elements.js";

const COLOURS = { reference: "#4c8bf5", words: "#f0a83c", masks: "#46b37b", "header and framing": "#9a8fb5" };

function share(bytes, whole) {
  return `${(100 * bytes) / whole}%`;
}

// parts: [{name, bytes}]; target: the most bytes that the file may have, 0 where nobody said.
export function budgetBar(parts, target) {
  const total = parts.reduce((sum, part) => sum + part.bytes, 0);
  const whole = Math.max(total, target, 1);
  const listed = parts.map((part) => `${part.name} ${part.bytes}`).join(", ");
  const within = target ? ` of at most ${target}` : "";
  const track = element("div", {
    className: "track",
    title: `${total} bytes${within}: ${listed}`,
    attributes: { role: "img", "aria-label": `${total} bytes${within}: ${listed}` },
  });
  const names = element("div", { className: "names" });
  for (const { name, bytes } of parts) {
    const title = `${name}: ${bytes} bytes, ${Math.round((100 * bytes) / Math.max(total, 1))} % of the file`;
    const part = element("div", { className: "part", title });
    part.style.cssText = `width: ${share(bytes, whole)}; background: ${COLOURS[name]}`;
    track.append(part);
    const colour = element("i");
    colour.style.background = COLOURS[name];
    names.append(element("span", { title }, colour, `${name} ${bytes}`));
  }
  if (target) {
    const limit = element("div", { className: "limit", title: `target: ${target} bytes` });
    limit.style.left = `calc(${share(target, whole)} - 2px)`;
    track.append(limit);
    const over = total > target ? " over" : "";
    names.append(element("span", { className: `target${over}` }, `${total} of ${target} bytes`));
  }
  return element("div", { className: "sedic-bar" }, track, names);
}
