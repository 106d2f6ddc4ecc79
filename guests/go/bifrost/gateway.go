// A Bifrost plugin of the third generation, with the names of Go's own fields in requests (`ChatRequest`), as plugins have
// that are built with the gateway's own types. It answers greetings itself, and counts tokens in the context.
package main

import (
	"encoding/json"
	"strings"
)

func main() {}

type object = map[string]any

type settings struct {
	Greeting string `json:"greeting"`
}

var config settings

//go:wasmexport get_name
func getName() uint64 { return output([]byte("bifrost-gateway")) }

//go:wasmexport init
func initPlugin(at, length uint32) int32 {
	if length > 0 && json.Unmarshal(input(at, length), &config) != nil {
		return 1
	}
	return 0
}

//go:wasmexport cleanup
func cleanup() int32 {
	config = settings{}
	return 0
}

type message struct {
	Role    string `json:"role"`
	Content string `json:"content"`
}

// The types of the gateway, as far as this plugin looks at them. Without tags, so that their names are Go's.
type chatRequest struct {
	Provider string         `json:"provider"`
	Model    string         `json:"model"`
	Input    []message      `json:"input"`
	Params   map[string]any `json:"params,omitempty"`
}

type request struct {
	RequestType string
	ChatRequest *chatRequest
}

type usage struct {
	TotalTokens int `json:"total_tokens"`
}

type response struct {
	ChatResponse *struct {
		Usage *usage `json:"usage"`
	}
}

func answer(value any) uint64 {
	bytes, err := json.Marshal(value)
	if err != nil {
		return output([]byte(`{"error":"cannot write the answer"}`))
	}
	return output(bytes)
}

func with(context object, key string, value any) object {
	if context == nil {
		context = object{}
	}
	context[key] = value
	return context
}

//go:wasmexport http_pre_hook
func httpPreHook(at, length uint32) uint64 {
	var in struct {
		Context object `json:"context"`
		Request object `json:"request"`
	}
	if json.Unmarshal(input(at, length), &in) != nil {
		return answer(object{"error": "the input is not JSON"})
	}
	return answer(object{"context": with(in.Context, "gateway", "here"), "request": nil, "response": nil, "has_response": false, "error": ""})
}

//go:wasmexport http_post_hook
func httpPostHook(at, length uint32) uint64 {
	return answer(object{"context": nil, "error": ""})
}

//go:wasmexport http_stream_chunk_hook
func httpStreamChunkHook(at, length uint32) uint64 {
	var in struct {
		Chunk json.RawMessage `json:"chunk"`
	}
	if json.Unmarshal(input(at, length), &in) != nil {
		return answer(object{"error": "the input is not JSON"})
	}
	return answer(object{"chunk": in.Chunk, "has_chunk": true, "skip": false, "error": ""})
}

//go:wasmexport pre_hook
func preHook(at, length uint32) uint64 {
	var in struct {
		Context object  `json:"context"`
		Request request `json:"request"`
	}
	if json.Unmarshal(input(at, length), &in) != nil || in.Request.ChatRequest == nil {
		return answer(object{"error": "there is no chat request"})
	}
	chat := in.Request.ChatRequest
	last := ""
	if len(chat.Input) > 0 {
		last = chat.Input[len(chat.Input)-1].Content
	}
	if config.Greeting != "" && strings.EqualFold(strings.TrimSpace(last), "hello") {
		choice := object{"index": 0, "message": message{Role: "assistant", Content: config.Greeting}, "finish_reason": "stop"}
		circuit := object{"Response": object{"ChatResponse": object{"model": chat.Model, "choices": []object{choice}}}}
		return answer(object{"context": in.Context, "short_circuit": circuit, "has_short_circuit": true, "error": ""})
	}
	chat.Input = append([]message{{Role: "system", Content: "Answer briefly."}}, chat.Input...)
	return answer(object{"context": in.Context, "request": in.Request, "has_short_circuit": false, "error": ""})
}

//go:wasmexport post_hook
func postHook(at, length uint32) uint64 {
	var in struct {
		Context  object          `json:"context"`
		Response json.RawMessage `json:"response"`
		Error    json.RawMessage `json:"error"`
		HasError bool            `json:"has_error"`
	}
	if json.Unmarshal(input(at, length), &in) != nil {
		return answer(object{"hook_error": "the input is not JSON"})
	}
	var seen response
	if json.Unmarshal(in.Response, &seen) == nil && seen.ChatResponse != nil && seen.ChatResponse.Usage != nil {
		in.Context = with(in.Context, "tokens", seen.ChatResponse.Usage.TotalTokens)
	}
	return answer(object{"context": in.Context, "response": in.Response, "error": in.Error, "has_error": in.HasError, "hook_error": ""})
}
