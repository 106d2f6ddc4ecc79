/* For the host's tests of what all interfaces have in common: over Extism's. */
#include "block_fixtures.h"
