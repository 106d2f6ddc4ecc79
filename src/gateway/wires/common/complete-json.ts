// Whether arguments that came so far are all of them.

/** True for the JSON of an object, to which nothing can be added. */
export function isCompleteObject(text: string): boolean {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{") || !trimmed.endsWith("}")) return false;
  try {
    JSON.parse(trimmed);
    return true;
  } catch {
    return false;
  }
}
