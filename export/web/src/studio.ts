/** The worker and what it was given; a new one with the same after somebody cancelled. */

import { Cancelled, Engine } from "./engine";
import type { PaintJob, Pixels } from "./messages";
import type { Sides } from "./resize";

let engine: Promise<Engine> | null = null;
const opened = new Map<string, Blob>(); // what a new worker must be given

export function worker(): Promise<Engine> {
  engine ??= Engine.start().then(async (started) => {
    for (const [photo, source] of opened) await started.ask("keep", { photo, source });
    return started;
  });
  engine.catch(() => {
    engine = null;
  });
  return engine;
}

/** Let the worker have a picture, and return its height and width. */
export async function open(photo: string, source: Blob): Promise<Sides> {
  const working = await worker();
  const { height, width } = await working.ask("open", { photo, source });
  opened.set(photo, source);
  return [height, width];
}

export async function close(photo: string): Promise<void> {
  opened.delete(photo);
  await (await worker()).ask("close", { photo });
}

/** Paint, with the network at hand. */
export async function paint(job: PaintJob, progress?: (share: number) => void): Promise<Pixels> {
  const working = await worker();
  await working.load(job.style.model);
  return working.ask("paint", job, progress);
}

/** Stop whatever is computed. */
export function stop(): void {
  engine?.then(
    (working) => working.end(new Cancelled()),
    () => {}, // it has not started, which is told elsewhere
  );
  engine = null;
}
