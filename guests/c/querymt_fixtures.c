/* For the host's tests of what all interfaces have in common: a QueryMT provider without models. */
#include "block_fixtures.h"

EXPORT(name) int32_t name(void) {
  return succeed_with_text("fixtures");
}

EXPORT(init_logging) int32_t init_logging(void) {
  return 0;
}

EXPORT(config_schema) int32_t config_schema(void) {
  return succeed_with_text("{\"type\":\"object\",\"properties\":{}}");
}

EXPORT(from_config) int32_t from_config(void) {
  return 0;
}

EXPORT(base_url) int32_t base_url(void) {
  return 0;
}
