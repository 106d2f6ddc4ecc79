package main

// The part of the Extism guest ABI that this guest uses, with copying on top.

//go:wasmimport extism:host/env alloc
func alloc(length uint64) uint64

//go:wasmimport extism:host/env store_u8
func storeU8(address uint64, value uint32)

//go:wasmimport extism:host/env store_u64
func storeU64(address uint64, value uint64)

//go:wasmimport extism:host/env input_length
func inputLength() uint64

//go:wasmimport extism:host/env input_load_u8
func inputLoadU8(offset uint64) uint32

//go:wasmimport extism:host/env input_load_u64
func inputLoadU64(offset uint64) uint64

//go:wasmimport extism:host/env output_set
func outputSet(address uint64, length uint64)

//go:wasmimport extism:host/env error_set
func errorSet(handle uint64)

// The whole input, copied into guest memory.
func input() []byte {
	length := inputLength()
	bytes := make([]byte, 0, length+8)
	for at := uint64(0); at+8 <= length; at += 8 {
		word := inputLoadU64(at)
		for shift := 0; shift < 64; shift += 8 {
			bytes = append(bytes, byte(word>>shift))
		}
	}
	for at := uint64(len(bytes)); at < length; at++ {
		bytes = append(bytes, byte(inputLoadU8(at)))
	}
	return bytes
}

// A new Extism block with the text; 0 when the host has no room.
func blockFrom(text string) uint64 {
	handle := alloc(uint64(len(text)))
	if handle == 0 {
		return 0
	}
	at := 0
	for ; at+8 <= len(text); at += 8 {
		word := uint64(0)
		for i := 7; i >= 0; i-- {
			word = word<<8 | uint64(text[at+i])
		}
		storeU64(handle+uint64(at), word)
	}
	for ; at < len(text); at++ {
		storeU8(handle+uint64(at), uint32(text[at]))
	}
	return handle
}

// Ends a call: the text becomes its output.
func succeedWith(text string) int32 {
	handle := blockFrom(text)
	if handle == 0 {
		return failWith("out of Extism memory")
	}
	outputSet(handle, uint64(len(text)))
	return 0
}

func failWith(message string) int32 {
	errorSet(blockFrom(message))
	return 1
}
