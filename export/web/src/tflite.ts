/** LiteRT.js takes files of a fixed size alone: this gives a file for any size the one that is wanted. */

const SUBGRAPHS = 2; // fields of the schema's tables
const TENSORS = 0;
const INPUTS = 1;
const OUTPUTS = 2;
const SHAPE = 0;
const SHAPE_SIGNATURE = 7;

/** Return a copy of a `.tflite` file whose inputs and outputs of any size have this one. */
export function withSize(file: Uint8Array, height: number, width: number): Uint8Array {
  const copy = file.slice();
  const view = new DataView(copy.buffer);
  const follow = (at: number) => at + view.getUint32(at, true);
  /** Where a table's field leads to. */
  const field = (table: number, number: number) => {
    const layout = table - view.getInt32(table, true);
    const entry = 4 + 2 * number;
    const offset = entry < view.getUint16(layout, true) ? view.getUint16(layout + entry, true) : 0;
    return offset ? follow(table + offset) : undefined;
  };
  const required = (table: number, number: number) => {
    const at = field(table, number);
    if (at === undefined) throw new Error("This is no file of LiteRT.");
    return at;
  };
  const graph = follow(required(follow(0), SUBGRAPHS) + 4);
  const tensors = required(graph, TENSORS);
  for (const list of [required(graph, INPUTS), required(graph, OUTPUTS)]) {
    for (let i = 0; i < view.getUint32(list, true); i++) {
      const tensor = follow(tensors + 4 + 4 * view.getInt32(list + 4 + 4 * i, true));
      const signature = field(tensor, SHAPE_SIGNATURE);
      if (signature === undefined) continue;
      for (const [axis, side] of [
        [1, height],
        [2, width],
      ] as const) {
        if (view.getInt32(signature + 4 + 4 * axis, true) >= 0) continue;
        view.setInt32(signature + 4 + 4 * axis, side, true);
        view.setInt32(required(tensor, SHAPE) + 4 + 4 * axis, side, true);
      }
    }
  }
  return copy;
}
