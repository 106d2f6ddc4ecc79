// The kits' common plugin with Go's kit, the module github.com/extism/go-pdk.
package main

import (
	"strconv"

	"github.com/extism/go-pdk"
)

//go:wasmimport extism:host/user reverse
func reverse(offset uint64) uint64

type answer struct {
	Status uint16  `json:"status"`
	Body   string  `json:"body"`
	Header *string `json:"header"`
}

//go:wasmexport greet
func greet() int32 {
	greeting, ok := pdk.GetConfig("greeting")
	if !ok {
		greeting = "Hello"
	}
	pdk.OutputString(greeting + ", " + pdk.InputString() + "!")
	return 0
}

//go:wasmexport count
func count() int32 {
	next := 1
	if text := pdk.GetVar("count"); text != nil {
		before, err := strconv.Atoi(string(text))
		if err != nil {
			pdk.SetError(err)
			return 1
		}
		next += before
	}
	text := strconv.Itoa(next)
	pdk.SetVar("count", []byte(text))
	pdk.OutputString(text)
	return 0
}

//go:wasmexport fetch
func fetch() int32 {
	return send(pdk.NewHTTPRequest(pdk.MethodGet, pdk.InputString()))
}

//go:wasmexport post
func post() int32 {
	request := pdk.NewHTTPRequest(pdk.MethodPost, pdk.InputString())
	return send(request.SetHeader("x-plugin", "kit").SetBody([]byte("knock, knock")))
}

func send(request *pdk.HTTPRequest) int32 {
	response := request.Send()
	result := answer{Status: response.Status(), Body: string(response.Body())}
	if header, ok := response.Headers()["x-kit"]; ok {
		result.Header = &header
	}
	if err := pdk.OutputJSON(result); err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

//go:wasmexport ask_host
func askHost() int32 {
	question := pdk.AllocateString(pdk.InputString())
	defer question.Free()
	pdk.OutputString(pdk.ParamString(reverse(question.Offset())))
	return 0
}

//go:wasmexport fail
func fail() int32 {
	pdk.SetErrorString("no good")
	return 1
}

//go:wasmexport log_levels
func logLevels() int32 {
	pdk.Log(pdk.LogTrace, "a trace line")
	pdk.Log(pdk.LogDebug, "a debug line")
	pdk.Log(pdk.LogInfo, "an info line")
	pdk.Log(pdk.LogWarn, "a warn line")
	pdk.Log(pdk.LogError, "an error line")
	return 0
}

func main() {}
