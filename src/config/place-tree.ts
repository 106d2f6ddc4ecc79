// Places of a text as a tree: where each key and element begins.

import { type Place, type TextPosition, positionAt } from "../manifest/place.ts";

/** A key or element, and those below it. */
export interface PlaceNode {
  readonly offset: number;
  /** By key, or by index from 0. */
  readonly children: Map<string | number, PlaceNode>;
}

/** The child by a key or index; a new one begins at `offset`. */
export function childAt(node: PlaceNode, key: string | number, offset: number): PlaceNode {
  const found = node.children.get(key);
  if (found !== undefined) return found;
  const made: PlaceNode = { offset, children: new Map() };
  node.children.set(key, made);
  return made;
}

/** Finds places in a text; the tree is made when the first is asked for. */
export function locator(text: string, makeTree: (text: string) => PlaceNode): (place: Place) => TextPosition | undefined {
  let root: PlaceNode | undefined;
  return (place) => {
    root ??= makeTree(text);
    let node: PlaceNode | undefined = root;
    for (const part of place) node = node?.children.get(part);
    return node === undefined || node === root ? undefined : positionAt(text, node.offset);
  };
}
