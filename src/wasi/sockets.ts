// Sockets: no descriptor is ever one. HTTP and the like are for host functions, where they can be permitted by name.

import type { Functions, WasiContext } from "./context.ts";
import { ERRNO } from "./errno.ts";

/** `sock_accept`, `sock_recv`, `sock_send` and `sock_shutdown`. */
export function socketFunctions({ descriptors }: WasiContext): Functions {
  const refuse = (fd: number): number => {
    descriptors.get(fd);
    return ERRNO.notsock;
  };
  return { sock_accept: refuse, sock_recv: refuse, sock_send: refuse, sock_shutdown: refuse };
}
