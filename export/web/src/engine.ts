/** The worker from the page's side: questions, answers, cancelling. */

import { supportsFeature } from "@litertjs/core";
import { alone, asset, catalog } from "./assets";
import type { FromWorker, Kind, Questions, ToWorker } from "./messages";

const MOST_THREADS = 8;

export class Cancelled extends Error {}

interface Waiting {
  resolve: (answer: never) => void;
  reject: (error: Error) => void;
  progress?: (share: number) => void;
}

/** Return the build of LiteRT that is the fastest here. */
async function suitable(): Promise<string> {
  if (alone || !(await supportsFeature("relaxedSimd"))) return "compat";
  return window.crossOriginIsolated && (await supportsFeature("threads")) ? "threaded" : "relaxed";
}

export class Engine {
  private readonly waiting = new Map<number, Waiting>();
  private readonly loading = new Map<string, Promise<void>>();
  private readonly loaded = new Set<string>();
  private asked = 0;

  private constructor(
    private readonly worker: Worker,
    private readonly url: string,
  ) {
    worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.hear(data);
    worker.onerror = (event) => this.end(new Error(event.message || "The worker cannot start."));
  }

  /** Start a worker with the build of LiteRT that suits the browser. */
  static async start(): Promise<Engine> {
    const build = await suitable();
    const [glue, worker, wasm] = await Promise.all([
      asset(`litert/${build}.js`),
      asset("worker.js"),
      asset(`litert/${build}.wasm`),
    ]);
    const url = URL.createObjectURL(new Blob([glue, "\n", worker], { type: "text/javascript" }));
    const engine = new Engine(new Worker(url), url);
    const threads =
      build === "threaded" ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
    await engine.ask("start", { wasm, glue, threads });
    return engine;
  }

  ask<K extends Kind>(
    kind: K,
    ask: Questions[K]["ask"],
    progress?: (share: number) => void,
    transfer: Transferable[] = [],
  ): Promise<Questions[K]["answer"]> {
    const id = ++this.asked;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve: resolve as (answer: never) => void, reject, progress });
      this.worker.postMessage({ id, kind, ask } as ToWorker, transfer);
    });
  }

  /** Let the worker have a network, once. */
  load(file: string): Promise<void> {
    const loading = this.loading.get(file) ?? this.send(file);
    this.loading.set(file, loading);
    loading.catch(() => this.loading.delete(file));
    return loading;
  }

  /** Whether the worker has a network. */
  has(file: string): boolean {
    return this.loaded.has(file);
  }

  /** Stop whatever it computes, and give its memory back. */
  end(error: Error): void {
    this.worker.terminate();
    URL.revokeObjectURL(this.url);
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  private async send(file: string): Promise<void> {
    const info = catalog.models.find((model) => model.file === file);
    if (!info) throw new Error(`There is no network ${file}.`);
    const bytes = await asset(file);
    const encoder = info.encoder === null ? undefined : await asset(info.encoder);
    await this.ask(
      "model",
      { info, bytes, encoder },
      undefined,
      encoder ? [bytes, encoder] : [bytes],
    );
    this.loaded.add(file);
  }

  private hear(message: FromWorker): void {
    const waiting = this.waiting.get(message.id);
    if (!waiting) return;
    if ("progress" in message) {
      waiting.progress?.(message.progress);
      return;
    }
    this.waiting.delete(message.id);
    if ("error" in message) waiting.reject(new Error(message.error));
    else waiting.resolve(message.answer as never);
  }
}
