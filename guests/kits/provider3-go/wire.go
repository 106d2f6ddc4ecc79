// What both generations of the provider share: the shapes that cross to the host, and the wire of an OpenAI-like server.
package main

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"

	"github.com/extism/go-pdk"
)

const defaultBaseURL = "http://localhost:8080/v1"

type config struct {
	APIKey  string   `json:"api_key"`
	BaseURL string   `json:"base_url"`
	Model   string   `json:"model"`
	System  []string `json:"system"`
}

const configSchema = `{"type":"object","required":["model"],"properties":{"api_key":{"type":"string"},"base_url":{"type":"string"},` +
	`"model":{"type":"string"},"system":{"type":"array","items":{"type":"string"}}}}`

// octets are written and read as a JSON array of numbers; Go would write text in base64.
type octets []byte

func (o octets) MarshalJSON() ([]byte, error) {
	text := make([]byte, 1, len(o)*4+2)
	text[0] = '['
	for index, one := range o {
		if index > 0 {
			text = append(text, ',')
		}
		text = strconv.AppendUint(text, uint64(one), 10)
	}
	return append(text, ']'), nil
}

func (o *octets) UnmarshalJSON(text []byte) error {
	var numbers []uint8
	// A slice of another type than []uint8 is read as numbers.
	var wide []uint16
	if err := json.Unmarshal(text, &wide); err != nil {
		return err
	}
	for _, number := range wide {
		numbers = append(numbers, uint8(number))
	}
	*o = numbers
	return nil
}

type httpRequest struct {
	Head struct {
		Method  string            `json:"method"`
		URI     string            `json:"uri"`
		Headers map[string]string `json:"headers"`
		Version string            `json:"version"`
	} `json:"head"`
	Body octets `json:"body"`
}

type requestBox struct {
	Req httpRequest `json:"req"`
}

type httpResponse struct {
	Head struct {
		Status  int            `json:"status"`
		Headers map[string]any `json:"headers"`
		Version string         `json:"version"`
	} `json:"head"`
	Body octets `json:"body"`
}

type responseBox struct {
	Resp httpResponse `json:"resp"`
}

type content struct {
	Type      string          `json:"type"`
	Text      string          `json:"text"`
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Arguments json.RawMessage `json:"arguments"`
	Content   []content       `json:"content"`
}

type message struct {
	Role    string    `json:"role"`
	Content []content `json:"content"`
}

type chatInput struct {
	Cfg      config            `json:"cfg"`
	Messages []message         `json:"messages"`
	Tools    []json.RawMessage `json:"tools"`
}

type usage struct {
	Input     uint32 `json:"input_tokens"`
	Output    uint32 `json:"output_tokens"`
	Reasoning uint32 `json:"reasoning_tokens"`
	CacheRead uint32 `json:"cache_read"`
	CacheMade uint32 `json:"cache_write"`
}

type upstreamUsage struct {
	Prompt     uint32 `json:"prompt_tokens"`
	Completion uint32 `json:"completion_tokens"`
}

type toolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string `json:"name"`
		Arguments string `json:"arguments"`
	} `json:"function"`
}

func newRequest(cfg config, method, path string, body any) (*httpRequest, error) {
	base := cfg.BaseURL
	if base == "" {
		base = defaultBaseURL
	}
	request := &httpRequest{}
	request.Head.Method = method
	request.Head.URI = strings.TrimSuffix(base, "/") + "/" + path
	request.Head.Headers = map[string]string{"accept": "application/json"}
	request.Head.Version = "HTTP/1.1"
	request.Body = octets{}
	if cfg.APIKey != "" {
		request.Head.Headers["authorization"] = "Bearer " + cfg.APIKey
	}
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		request.Body = text
		request.Head.Headers["content-type"] = "application/json"
	}
	return request, nil
}

func chatRequest(input chatInput, stream bool) (*httpRequest, error) {
	sent := []map[string]any{}
	for _, text := range input.Cfg.System {
		sent = append(sent, map[string]any{"role": "system", "content": text})
	}
	for _, one := range input.Messages {
		texts, calls := []string{}, []map[string]any{}
		for _, part := range one.Content {
			switch part.Type {
			case "text":
				texts = append(texts, part.Text)
			case "tool_use":
				function := map[string]any{"name": part.Name, "arguments": string(part.Arguments)}
				calls = append(calls, map[string]any{"id": part.ID, "type": "function", "function": function})
			case "tool_result":
				sent = append(sent, map[string]any{"role": "tool", "tool_call_id": part.ID, "content": textOf(part.Content)})
			}
		}
		if len(texts) == 0 && len(calls) == 0 {
			continue
		}
		role := "user"
		if one.Role == "Assistant" {
			role = "assistant"
		}
		whole := map[string]any{"role": role, "content": strings.Join(texts, "\n")}
		if len(calls) > 0 {
			whole["tool_calls"] = calls
		}
		sent = append(sent, whole)
	}
	body := map[string]any{"model": input.Cfg.Model, "messages": sent, "stream": stream}
	if len(input.Tools) > 0 {
		body["tools"] = input.Tools
	}
	return newRequest(input.Cfg, "POST", "chat/completions", body)
}

func textOf(parts []content) string {
	texts := []string{}
	for _, part := range parts {
		texts = append(texts, part.Text)
	}
	return strings.Join(texts, "\n")
}

var finishReasons = map[string]string{"stop": "Stop", "length": "Length", "content_filter": "ContentFilter", "tool_calls": "ToolCalls"}

func finishReason(reason string) string {
	if known, ok := finishReasons[reason]; ok {
		return known
	}
	return "Other"
}

func parseChat(body []byte) (map[string]any, error) {
	var parsed struct {
		Choices []struct {
			Message struct {
				Content   *string    `json:"content"`
				ToolCalls []toolCall `json:"tool_calls"`
			} `json:"message"`
			FinishReason string `json:"finish_reason"`
		} `json:"choices"`
		Usage upstreamUsage `json:"usage"`
	}
	if err := json.Unmarshal(body, &parsed); err != nil || len(parsed.Choices) == 0 {
		raw := string(body[:min(len(body), 2000)])
		return nil, payload{"type": "response_format_error", "message": "not a chat completion", "raw_response": raw}
	}
	choice := parsed.Choices[0]
	return map[string]any{
		"text": choice.Message.Content, "tool_calls": choice.Message.ToolCalls, "thinking": nil,
		"usage":         usage{Input: parsed.Usage.Prompt, Output: parsed.Usage.Completion},
		"finish_reason": finishReason(choice.FinishReason),
	}, nil
}

// A parser reads one line of server-sent events at a time.
type parser struct {
	finish string
	done   bool
}

func (p *parser) parse(line []byte) ([]any, error) {
	data, found := bytes.CutPrefix(bytes.TrimSpace(line), []byte("data:"))
	if !found {
		return []any{}, nil
	}
	data = bytes.TrimSpace(data)
	if string(data) == "[DONE]" {
		return p.end(), nil
	}
	var event struct {
		Choices []struct {
			Delta struct {
				Content string `json:"content"`
			} `json:"delta"`
			FinishReason *string `json:"finish_reason"`
		} `json:"choices"`
		Usage *upstreamUsage `json:"usage"`
	}
	if err := json.Unmarshal(data, &event); err != nil {
		return nil, payload{"type": "response_format_error", "message": err.Error(), "raw_response": string(data[:min(len(data), 200)])}
	}
	items := []any{}
	for _, choice := range event.Choices {
		if choice.Delta.Content != "" {
			items = append(items, item(map[string]any{"text": choice.Delta.Content}))
		}
		if choice.FinishReason != nil {
			p.finish = finishReason(*choice.FinishReason)
		}
	}
	if event.Usage != nil {
		counts := usage{Input: event.Usage.Prompt, Output: event.Usage.Completion}
		items = append(items, map[string]any{"chunk": map[string]any{"usage": counts}, "usage": counts})
	}
	return items, nil
}

func (p *parser) end() []any {
	if p.done {
		return []any{}
	}
	p.done = true
	if p.finish == "" {
		p.finish = "Unknown"
	}
	return []any{item(map[string]any{"done": map[string]any{"finish_reason": p.finish}})}
}

func item(chunk map[string]any) map[string]any {
	return map[string]any{"chunk": chunk, "usage": nil}
}

// A payload is an error in the host's shape.
type payload map[string]any

func (p payload) Error() string {
	text, _ := json.Marshal(map[string]any{"payload": map[string]any(p)})
	return string(text)
}

// answer ends a call with a value or an error.
func answer(value any, err error) int32 {
	if err == nil {
		err = pdk.OutputJSON(value)
	}
	if err == nil {
		return 0
	}
	if _, known := err.(payload); !known {
		err = payload{"type": "invalid_request", "message": err.Error()}
	}
	pdk.SetErrorString(err.Error())
	return 1
}

func input(value any) error {
	return json.Unmarshal(pdk.Input(), value)
}

func main() {}
