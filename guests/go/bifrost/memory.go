package main

import "unsafe"

// The memory that the host writes inputs into: an array that is used from front to back, and whose use begins anew with
// every call of plugin_reset.
var (
	heap [4 << 20]byte
	used int
)

//go:wasmexport plugin_malloc
func pluginMalloc(size uint32) uint32 {
	if size == 0 || int(size) > len(heap)-used {
		return 0
	}
	at := &heap[used]
	used += (int(size) + 7) &^ 7
	if used > len(heap) {
		used = len(heap)
	}
	return uint32(uintptr(unsafe.Pointer(at)))
}

//go:wasmexport plugin_free
func pluginFree(uint32) {}

//go:wasmexport plugin_reset
func pluginReset() { used = 0 }

func input(at, length uint32) []byte {
	if length == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(unsafe.Pointer(uintptr(at))), length)
}

// output copies bytes where the host reads them: address in the upper half, length in the lower.
func output(bytes []byte) uint64 {
	at := pluginMalloc(uint32(len(bytes)))
	if at == 0 {
		return 0
	}
	copy(input(at, uint32(len(bytes))), bytes)
	return uint64(at)<<32 | uint64(len(bytes))
}
