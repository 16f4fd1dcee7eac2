/** A field on which two to five styles lie, and a knob: the nearer to one, the more of it. */

import { $ } from "./dom";

export interface Corner {
  title: string;
  face: HTMLCanvasElement;
}

type Place = [x: number, y: number]; // from the middle, -1 to 1

const field = $("pad").querySelector<HTMLElement>(".field") as HTMLElement;
const knob = field.querySelector<HTMLElement>(".knob") as HTMLElement;
const STEP = 0.08;

let corners: Corner[] = [];
let places: Place[] = [];
let at: Place = [0, 0];
let changed: (weights: number[]) => void = () => {};

/** Lay out the styles; call a function with their weights, which sum to 1, whenever they change. */
export function showPad(styles: Corner[], onChange: (weights: number[]) => void): void {
  corners = styles;
  changed = onChange;
  places = styles.map((_, i) => {
    const turn = (2 * Math.PI * i) / styles.length - Math.PI / (styles.length === 2 ? 1 : 2);
    return [Math.cos(turn), Math.sin(turn)];
  });
  for (const face of field.querySelectorAll("canvas")) face.remove();
  styles.forEach(({ face }, i) => {
    const copy = document.createElement("canvas");
    copy.width = copy.height = 104;
    const side = Math.min(face.width, face.height);
    const [left, top] = [(face.width - side) / 2, (face.height - side) / 2];
    if (side) copy.getContext("2d")?.drawImage(face, left, top, side, side, 0, 0, 104, 104);
    put(copy, places[i]);
    field.prepend(copy);
  });
  move([0, 0]);
}

function put(element: HTMLElement, [x, y]: Place): void {
  element.style.left = `${50 + 50 * x}%`;
  element.style.top = `${50 + 50 * y}%`;
}

function move([x, y]: Place): void {
  const far = Math.max(1, Math.hypot(x, y));
  at = [x / far, y / far];
  put(knob, at);
  const weights = weightsAt(at, places);
  const text = corners.map(({ title }, i) => `${title} ${Math.round(100 * weights[i])} %`);
  knob.setAttribute("aria-valuetext", text.join(", "));
  knob.setAttribute("aria-valuenow", String(Math.round(100 * (weights[0] ?? 0))));
  $("about").textContent = text.join(", ");
  changed(weights);
}

/** Weights fall with the square of the distance; on a style there is nothing but it. */
export function weightsAt([x, y]: Place, styles: Place[]): number[] {
  const near = styles.map(([u, v]) => 1 / Math.max(1e-6, (x - u) ** 2 + (y - v) ** 2));
  const sum = near.reduce((a, b) => a + b, 0);
  return near.map((weight) => weight / sum);
}

function follow(event: PointerEvent): void {
  const { left, top, width, height } = field.getBoundingClientRect();
  move([(2 * (event.clientX - left)) / width - 1, (2 * (event.clientY - top)) / height - 1]);
}

field.onpointerdown = (event) => {
  field.setPointerCapture(event.pointerId);
  follow(event);
  knob.focus();
  event.preventDefault();
};
field.onpointermove = (event) => {
  if (field.hasPointerCapture(event.pointerId)) follow(event);
};
knob.onkeydown = (event) => {
  const way = {
    ArrowLeft: [-STEP, 0],
    ArrowRight: [STEP, 0],
    ArrowUp: [0, -STEP],
    ArrowDown: [0, STEP],
  }[event.key];
  if (!way) return;
  event.preventDefault();
  move([at[0] + way[0], at[1] + way[1]]);
};
