// The address of a Redis server.

/** What a store's URL must be. */
export const REDIS_URL = "a URL of redis:, rediss: or unix:";

/** True for what a store's URL must be. */
export function isRedisUrl(url: string): boolean {
  return /^(?:rediss?|unix):\/\//.test(url) && URL.canParse(url);
}
