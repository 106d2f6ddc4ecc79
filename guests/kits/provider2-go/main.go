// A provider of QueryMT's second generation for servers with OpenAI's wire, with Go's kit: it makes its requests itself.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/extism/go-pdk"
)

//go:wasmimport extism:host/user qmt_http_request
func qmtHTTPRequest(request uint64) uint64

//go:wasmimport extism:host/user qmt_http_stream_open
func qmtHTTPStreamOpen(request uint64) uint64

//go:wasmimport extism:host/user qmt_http_stream_next
func qmtHTTPStreamNext(id uint64) uint64

//go:wasmimport extism:host/user qmt_http_stream_close
func qmtHTTPStreamClose(id uint64)

//go:wasmimport extism:host/user qmt_yield_chunk
func qmtYieldChunk(item uint64)

//go:wasmexport name
func name() int32 {
	pdk.OutputString("openai-like-go-2")
	return 0
}

//go:wasmexport init_logging
func initLogging() int32 {
	return 0
}

//go:wasmexport config_schema
func schema() int32 {
	pdk.OutputString(configSchema)
	return 0
}

//go:wasmexport from_config
func fromConfig() int32 {
	var cfg config
	return answer(nil, input(&cfg))
}

//go:wasmexport list_models
func listModels() int32 {
	var cfg config
	if err := input(&cfg); err != nil {
		return answer(nil, err)
	}
	request, err := newRequest(cfg, "GET", "models", nil)
	if err != nil {
		return answer(nil, err)
	}
	body, err := send(request)
	if err != nil {
		return answer(nil, err)
	}
	var parsed struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil {
		return answer(nil, err)
	}
	names := []string{}
	for _, model := range parsed.Data {
		names = append(names, model.ID)
	}
	return answer(names, nil)
}

//go:wasmexport chat
func chat() int32 {
	var in chatInput
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	request, err := chatRequest(in, false)
	if err != nil {
		return answer(nil, err)
	}
	body, err := send(request)
	if err != nil {
		return answer(nil, err)
	}
	value, err := parseChat(body)
	return answer(value, err)
}

//go:wasmexport supports_streaming
func supportsStreaming() int32 {
	return answer(true, nil)
}

//go:wasmexport chat_stream
func chatStream() int32 {
	var in chatInput
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	request, err := chatRequest(in, true)
	if err != nil {
		return answer(nil, err)
	}
	var opened struct {
		Status      string `json:"status"`
		StreamID    uint64 `json:"stream_id"`
		PluginError string `json:"plugin_error"`
		ErrorCode   int32  `json:"error_code"`
	}
	if err := ask(qmtHTTPStreamOpen, requestBox{Req: *request}, &opened); err != nil {
		return answer(nil, err)
	}
	switch opened.Status {
	case "ok":
		err = forward(opened.StreamID)
		tell(qmtHTTPStreamClose, opened.StreamID)
	case "error":
		pdk.SetErrorString(opened.PluginError)
		return opened.ErrorCode
	}
	if err != nil {
		return answer(nil, err)
	}
	return 0
}

// forward passes on what comes, line by line; the last one may come without a newline.
func forward(id uint64) error {
	reader, kept := &parser{}, []byte{}
	for {
		memory := pdk.AllocateString(fmt.Sprint(id))
		piece := pdk.ParamBytes(qmtHTTPStreamNext(memory.Offset()))
		memory.Free()
		kept = append(kept, piece...)
		if len(piece) == 0 {
			kept = append(kept, '\n')
		}
		for {
			line, rest, found := bytes.Cut(kept, []byte("\n"))
			if !found {
				break
			}
			items, err := reader.parse(line)
			if err != nil {
				return err
			}
			yield(items)
			kept = rest
		}
		if len(piece) == 0 {
			yield(reader.end())
			return nil
		}
	}
}

func yield(items []any) {
	for _, one := range items {
		tell(qmtYieldChunk, one)
	}
}

func send(request *httpRequest) ([]byte, error) {
	var answered responseBox
	if err := ask(qmtHTTPRequest, requestBox{Req: *request}, &answered); err != nil {
		return nil, err
	}
	if status := answered.Resp.Head.Status; status < 200 || status > 299 {
		message := fmt.Sprintf("HTTP %d: %s", status, answered.Resp.Body)
		return nil, payload{"type": "http_status", "status_code": status, "message": message, "retry_after_secs": nil}
	}
	return answered.Resp.Body, nil
}

func ask(function func(uint64) uint64, value, result any) error {
	memory, err := pdk.AllocateJSON(value)
	if err != nil {
		return err
	}
	defer memory.Free()
	return json.Unmarshal(pdk.ParamBytes(function(memory.Offset())), result)
}

func tell(function func(uint64), value any) {
	if memory, err := pdk.AllocateJSON(value); err == nil {
		function(memory.Offset())
		memory.Free()
	}
}
