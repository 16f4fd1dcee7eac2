/** The parts of the page by their names. */

export function $<T extends HTMLElement = HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (!found) throw new Error(`The page has no #${id}.`);
  return found as T;
}

export const button = (id: string) => $<HTMLButtonElement>(id);
export const input = (id: string) => $<HTMLInputElement>(id);
export const select = (id: string) => $<HTMLSelectElement>(id);
export const canvas = (id: string) => $<HTMLCanvasElement>(id);

/** Say something to whoever sees the page, or hears it. */
export function tell(text: string): void {
  $("status").textContent = text;
}

/** Take back what was said to have gone wrong: something else is tried. */
export function calm(): void {
  $("alert").hidden = true;
}

/** Say what went wrong. */
export function alarm(error: unknown): void {
  const box = $("alert");
  box.textContent = error instanceof Error ? error.message : String(error);
  box.hidden = false;
}

/** Draw pixels, or anything that can be drawn, as large as they are. */
export function draw(on: HTMLCanvasElement, what: ImageData | ImageBitmap): void {
  on.width = what.width;
  on.height = what.height;
  const context = on.getContext("2d");
  if (!context) throw new Error("The picture is too large for this browser.");
  if (what instanceof ImageData) context.putImageData(what, 0, 0);
  else context.drawImage(what, 0, 0);
}
