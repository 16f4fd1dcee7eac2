/** Films of what is on a canvas. */

const KINDS = ["video/mp4;codecs=avc1.42E01E,mp4a.40.2", "video/webm"]; // the first plays anywhere
const BITS_PER_SECOND = 8_000_000;

export const canRecord = typeof MediaRecorder !== "undefined";

export interface Film {
  blob: Blob;
  /** How its name ends. */
  suffix: string;
}

export interface Recording {
  pause: () => void;
  resume: () => void;
  end: () => Promise<Film>;
}

/** Record a stream until its end is wanted, which gives the film. */
export function record(stream: MediaStream): Recording {
  const kind = KINDS.find((each) => MediaRecorder.isTypeSupported(each));
  const options = { mimeType: kind, videoBitsPerSecond: BITS_PER_SECOND };
  const recorder = new MediaRecorder(stream, options);
  const parts: Blob[] = [];
  recorder.ondataavailable = ({ data }) => parts.push(data);
  const ended = new Promise<Film>((resolve) => {
    recorder.onstop = () => {
      const type = recorder.mimeType.split(";")[0];
      resolve({ blob: new Blob(parts, { type }), suffix: type.endsWith("mp4") ? "mp4" : "webm" });
    };
  });
  recorder.start();
  return {
    pause: () => recorder.pause(),
    resume: () => recorder.resume(),
    end: () => {
      if (recorder.state !== "inactive") recorder.stop();
      return ended;
    },
  };
}
