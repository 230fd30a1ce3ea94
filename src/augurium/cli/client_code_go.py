"""The program in Go, with its standard library alone."""

from augurium.cli.client_code_call import ExampleCall, json_text

_TEXT = """\
// Asks the model {model}: go run FILE
// A key, where the server asks for one, is taken from AUGURIUM_KEY.
package main

import (
{imports})

const url = {url}

const body = `{body}`

func main() {{
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {{
		log.Fatal(err)
	}}
	request.Header.Set("Content-Type", "application/json")
	if key := os.Getenv("AUGURIUM_KEY"); key != "" {{
		request.Header.Set("Authorization", "Bearer "+key)
	}}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {{
		log.Fatal(err)
	}}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {{
		text, _ := io.ReadAll(answer.Body)
		log.Fatalf("%s: %s", answer.Status, text)
	}}
{read}}}
"""
_WHOLE = """\
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
"""
_EVENTS = """\
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadString('\\n')
		if data, found := strings.CutPrefix(line, "data: "); found {
			fmt.Print(data)
		}
		if err == io.EOF {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
	}
"""
_PACKAGES = ("fmt", "io", "log", "net/http", "os", "strings")


def program(call: ExampleCall) -> str:
    """The program's text."""
    packages = ("bufio", *_PACKAGES) if call.streamed else _PACKAGES
    return _TEXT.format(
        model=call.model,
        imports="".join(f'\t"{package}"\n' for package in packages),
        url=json_text(call.url),
        # a raw string has no escapes, so what would end it is one of JSON's
        body=json_text(call.body).replace("`", "\\u0060"),
        read=_EVENTS if call.streamed else _WHOLE,
    )
