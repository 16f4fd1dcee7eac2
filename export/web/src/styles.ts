/** The styles: thumbnails to choose from, and mixtures of those that share a network. */

import { catalog } from "./assets";
import { $, draw, input } from "./dom";
import type { Pixels, Point } from "./messages";
import { showPad } from "./pad";
import { removeButton } from "./shelf";

const MOST = 5; // that are mixed

export interface Style extends Point {
  title: string;
  about: string;
  /** What the style was read from, where there is such a picture. */
  painting: Blob | null;
  /** The photograph in this style, small. */
  face: HTMLCanvasElement;
  tile: HTMLButtonElement;
  /** What lies in the list: the tile, and where the style is the user's a button that removes it. */
  cell: HTMLElement;
}

export const styles: Style[] = [];
let chosen: Style[] = [];
let weights: number[] = [1];
let changed: () => void = () => {};

/** Call a function whenever another style is chosen, or another mixture. */
export function onStyle(change: () => void): void {
  changed = change;
}

/** Add a style, before the tile that adds others. */
export function addStyle(
  { title, about, model, point }: Point & { title: string; about: string },
  painting: Blob | null = null,
  removable = false,
): Style {
  const tile = document.createElement("button");
  tile.type = "button";
  const face = document.createElement("canvas");
  const label = document.createElement("span");
  label.textContent = title;
  tile.append(face, label);
  tile.title = title;
  const cell = document.createElement("span");
  cell.className = "cell";
  cell.append(tile);
  const style = { model, point, title, about, painting, face, tile, cell };
  tile.onclick = () => choose(style);
  if (removable) cell.append(removeButton(title, () => remove(style)));
  styles.push(style);
  $("styles").insertBefore(cell, $("styles").querySelector(".add"));
  mark();
  return style;
}

/** Take a style away, and choose the one beside it if nothing else is chosen. */
function remove(style: Style): void {
  const place = styles.indexOf(style);
  styles.splice(place, 1);
  style.cell.remove();
  const beside = styles[Math.min(place, styles.length - 1)];
  beside.tile.focus();
  if (!chosen.includes(style)) {
    mark();
    return;
  }
  chosen = chosen.filter((other) => other !== style);
  if (!chosen.length) chosen = [beside];
  show();
}

/** Show how a style looks. */
export function showFace(style: Style, { data, width, height }: Pixels): void {
  draw(style.face, new ImageData(data, width, height));
}

/** Choose a style; while mixing, add it to the mixture or take it out. */
export function choose(style: Style): void {
  if (!input("mix").checked) chosen = [style];
  else if (!chosen.includes(style)) {
    const mixable = chosen.filter(({ model }) => model === style.model);
    chosen = [...mixable, style].slice(-MOST);
  } else if (chosen.length > 1) chosen = chosen.filter((other) => other !== style);
  show();
}

/** The point that is to be painted at. */
export function current(): Point {
  const [{ model, point }] = chosen;
  if (chosen.length === 1) return { model, point };
  const mixed = point.map((_, i) =>
    chosen.reduce((sum, style, s) => sum + weights[s] * style.point[i], 0),
  );
  return { model, point: mixed };
}

/** The name of what is painted, for files. */
export function currentName(): string {
  return chosen.map(({ title }) => title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "_")).join("-");
}

export function hasStyle(): boolean {
  return chosen.length > 0;
}

/** The one style that is chosen, if it is one. */
export function single(): Style | null {
  return chosen.length === 1 ? chosen[0] : null;
}

function mixable({ model }: Style): boolean {
  return styles.filter((other) => other.model === model).length > 1;
}

/** Mark the tiles of what is chosen, and of what can be. */
function mark(): void {
  const mix = input("mix").checked;
  $("mixing").hidden = !styles.some(mixable);
  for (const style of styles) {
    style.tile.setAttribute("aria-pressed", String(chosen.includes(style)));
    style.tile.disabled = mix && !mixable(style);
  }
}

function show(): void {
  const mix = input("mix").checked;
  mark();
  const several = mix && chosen.length > 1;
  $("pad").hidden = !several;
  weights = [1];
  if (several) {
    showPad(chosen, (given) => {
      weights = given;
      changed();
    });
    return;
  }
  $("about").textContent = mix
    ? "Choose two to five styles that go together."
    : (chosen[0]?.about ?? "");
  if (chosen.length) changed();
}

input("mix").onchange = () => {
  if (!input("mix").checked) chosen = chosen.slice(0, 1);
  else if (chosen[0] && !mixable(chosen[0])) {
    const first = styles.find(mixable);
    chosen = first ? [first] : chosen;
  }
  show();
};

/** Add the styles that came with the page, and a tile that asks for paintings. */
export function beginStyles(askForPaintings: () => void): void {
  for (const { title, about, model, point, face } of catalog.styles) {
    const style = addStyle({ title, about, model, point });
    if (face) drawFace(style.face, `data:image/jpeg;base64,${face}`);
  }
  if (anyModel() === undefined) {
    $("drop-painting").hidden = true;
    return;
  }
  const tile = document.createElement("button");
  tile.type = "button";
  tile.id = "add-painting";
  const plus = document.createElement("span");
  plus.setAttribute("aria-hidden", "true");
  plus.textContent = "+";
  const label = document.createElement("span");
  label.textContent = "Any painting";
  tile.append(plus, label);
  tile.onclick = askForPaintings;
  const cell = document.createElement("span");
  cell.className = "cell add";
  cell.append(tile);
  $("styles").append(cell);
}

async function drawFace(face: HTMLCanvasElement, url: string): Promise<void> {
  const image = new Image();
  image.src = url;
  await image.decode();
  if (face.closest("[data-round]") === null) draw(face, await createImageBitmap(image));
}

/** The network that paints in the style of any painting, if the page has one. */
export function anyModel(): string | undefined {
  return catalog.models.find(({ takes }) => takes === "code")?.file;
}
