// A provider of QueryMT's third generation for servers with OpenAI's wire, with Go's kit. It says little of itself: there is
// no classify_chat_error, no supports_streaming, and its parser takes one line at a time.
package main

import (
	"encoding/json"

	"github.com/extism/go-pdk"
)

var (
	parsers = map[uint32]*parser{}
	lastID  uint32
)

//go:wasmexport name
func name() int32 {
	pdk.OutputString("openai-like-go")
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
	err := input(&cfg)
	if err == nil && cfg.Model == "" {
		err = payload{"type": "invalid_request", "message": "model is missing"}
	}
	return answer(nil, err)
}

//go:wasmexport list_models_static
func listModelsStatic() int32 {
	var in struct {
		Cfg config `json:"cfg"`
	}
	if err := input(&in); err != nil || in.Cfg.Model != "fixed" {
		return answer(nil, err)
	}
	return answer([]string{"fixed"}, nil)
}

//go:wasmexport list_models_request
func listModelsRequest() int32 {
	var in struct {
		Cfg config `json:"cfg"`
	}
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	request, err := newRequest(in.Cfg, "GET", "models", nil)
	return answerRequest(request, err)
}

//go:wasmexport parse_list_models_response
func parseListModelsResponse() int32 {
	var in responseBox
	var body struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	if err := json.Unmarshal(in.Resp.Body, &body); err != nil {
		return answer(nil, err)
	}
	names := []string{}
	for _, model := range body.Data {
		names = append(names, model.ID)
	}
	return answer(names, nil)
}

//go:wasmexport chat_request
func chatRequestExport() int32 {
	return chat(false)
}

//go:wasmexport chat_stream_request
func chatStreamRequest() int32 {
	return chat(true)
}

func chat(stream bool) int32 {
	var in chatInput
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	request, err := chatRequest(in, stream)
	return answerRequest(request, err)
}

func answerRequest(request *httpRequest, err error) int32 {
	if err != nil {
		return answer(nil, err)
	}
	return answer(requestBox{Req: *request}, nil)
}

//go:wasmexport parse_chat_response
func parseChatResponse() int32 {
	var in struct {
		Resp responseBox `json:"resp"`
	}
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	value, err := parseChat(in.Resp.Resp.Body)
	return answer(value, err)
}

//go:wasmexport chat_stream_parser_start
func parserStart() int32 {
	lastID++
	parsers[lastID] = &parser{}
	return answer(lastID, nil)
}

//go:wasmexport chat_stream_parser_parse
func parserParse() int32 {
	var in struct {
		ID    uint32 `json:"parser_id"`
		Chunk octets `json:"chunk"`
	}
	if err := input(&in); err != nil {
		return answer(nil, err)
	}
	found, ok := parsers[in.ID]
	if !ok {
		return answer(nil, payload{"type": "invalid_request", "message": "there is no such parser"})
	}
	items, err := found.parse(in.Chunk)
	return answer(items, err)
}

//go:wasmexport chat_stream_parser_finish
func parserFinish() int32 {
	var id uint32
	if err := input(&id); err != nil {
		return answer(nil, err)
	}
	found, ok := parsers[id]
	if !ok {
		return answer(nil, payload{"type": "invalid_request", "message": "there is no such parser"})
	}
	delete(parsers, id)
	return answer(found.end(), nil)
}

//go:wasmexport chat_stream_parser_close
func parserClose() int32 {
	var id uint32
	if err := input(&id); err == nil {
		delete(parsers, id)
	}
	return 0
}
