/** Films in: every picture of a short one is painted, then all are played at its pace and recorded. */

import { canvas, draw } from "./dom";
import { Cancelled } from "./engine";
import type { Named } from "./files";
import { canRecord, type Film, record } from "./recorder";
import { fitted, type Sides } from "./resize";

const PER_SECOND = 15;
const LONGEST_S = 60;
const SIDE = 640; // long side that is painted

/** What paints the pictures of a film, and hears how far it is. */
export interface Studio {
  paint: (picture: ImageBitmap, sides: Sides) => Promise<Blob>;
  /** Is told what is done with which picture of how many. */
  tell: (doing: string, done: number, count: number) => void;
  signal: AbortSignal;
}

export function isFilm({ name, blob }: Named): boolean {
  return blob.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi)$/i.test(name);
}

/** Paint a film. */
export async function paintFilm(film: Named, studio: Studio): Promise<Film> {
  if (!canRecord) throw new Error(`This browser cannot record films. ${elsewhere(film)}`);
  const video = document.createElement("video");
  video.playsInline = true;
  video.preload = "auto";
  video.src = URL.createObjectURL(film.blob);
  try {
    await opened(video, film);
    const pictures = await painted(video, studio);
    return await played(video, pictures, studio);
  } finally {
    URL.revokeObjectURL(video.src);
    video.removeAttribute("src");
    video.load(); // gives its memory back
  }
}

function elsewhere({ name }: Named): string {
  return `In a terminal, tfstyle paints any film: tfstyle video "${name}" wave`;
}

async function opened(video: HTMLVideoElement, film: Named): Promise<void> {
  await heard(video, "loadeddata").catch(() => {
    throw new Error(`This browser cannot play that film. ${elsewhere(film)}`);
  });
  if (!video.videoWidth) throw new Error(`That film has no pictures. ${elsewhere(film)}`);
  if (!Number.isFinite(video.duration)) {
    await sought(video, 1e6); // what browsers recorded does not say how long it is until its end
  }
  if (video.duration > LONGEST_S) {
    throw new Error(`Films of up to ${LONGEST_S} seconds are painted here. ${elsewhere(film)}`);
  }
}

async function painted(video: HTMLVideoElement, studio: Studio): Promise<Blob[]> {
  const own: Sides = [video.videoHeight, video.videoWidth];
  const even = (side: number) => Math.max(16, side - (side % 2)); // as codecs want them
  const [height, width] = fitted(own, Math.min(SIDE, Math.max(...own))).map(even);
  const count = Math.max(1, Math.floor(video.duration * PER_SECOND));
  const pictures: Blob[] = [];
  for (let i = 0; i < count; i++) {
    studio.tell("Painting picture", i, count);
    await sought(video, Math.min((i + 0.5) / PER_SECOND, video.duration));
    const options = { resizeWidth: width, resizeHeight: height };
    const picture = await createImageBitmap(video, options);
    pictures.push(await studio.paint(picture, [height, width]));
    if (studio.signal.aborted) throw new Cancelled();
  }
  return pictures;
}

/** Play the film, unseen, with the painted pictures in the place of its own, and record it. */
async function played(video: HTMLVideoElement, pictures: Blob[], studio: Studio): Promise<Film> {
  const screen = canvas("after");
  const put = async (i: number) => {
    const bitmap = await createImageBitmap(pictures[i]);
    draw(screen, bitmap);
    bitmap.close();
  };
  await put(0);
  await sought(video, 0);
  const stream = screen.captureStream(PER_SECOND);
  const sound = await beginToPlay(video, stream);
  const recording = record(stream);
  const rest = () => {
    if (document.hidden) {
      video.pause(); // pages that are not seen stand still
      recording.pause();
    } else {
      recording.resume();
      video.play();
    }
  };
  document.addEventListener("visibilitychange", rest);
  let shown = 0;
  try {
    while (!video.ended && !studio.signal.aborted) {
      const i = Math.min(pictures.length - 1, Math.floor(video.currentTime * PER_SECOND));
      if (i !== shown) await put(i);
      shown = i;
      studio.tell("Recording", i, pictures.length);
      await new Promise(requestAnimationFrame);
    }
    await put(pictures.length - 1);
  } finally {
    document.removeEventListener("visibilitychange", rest);
    video.pause();
  }
  const film = await recording.end();
  await sound?.close();
  if (studio.signal.aborted) throw new Cancelled();
  return film;
}

/** Play a film with its sound in the recording instead of the room, where the browser lets pages. */
async function beginToPlay(
  video: HTMLVideoElement,
  stream: MediaStream,
): Promise<AudioContext | null> {
  if (!navigator.userActivation || navigator.userActivation.hasBeenActive) {
    const sound = new AudioContext();
    const into = sound.createMediaStreamDestination();
    sound.createMediaElementSource(video).connect(into);
    await video.play();
    for (const track of into.stream.getAudioTracks()) stream.addTrack(track);
    return sound;
  }
  video.muted = true;
  await video.play();
  return null;
}

async function sought(video: HTMLVideoElement, time: number): Promise<void> {
  const there = heard(video, "seeked");
  video.currentTime = time;
  await there;
}

function heard(video: HTMLVideoElement, event: string): Promise<void> {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, () => resolve(), { once: true });
    video.addEventListener("error", () => reject(new Error("The film is damaged.")), {
      once: true,
    });
  });
}
