// Manifest-check reads Kubernetes manifests into the API's own types, strictly: a field that does not exist, is
// misspelt, given twice or of another type is an error. It prints kind and name of each object.
//
//	manifest-check FILE…
package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	kubeyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

var kinds = map[string]func() metav1.Object{
	"v1/ConfigMap":                  func() metav1.Object { return &corev1.ConfigMap{} },
	"v1/Service":                    func() metav1.Object { return &corev1.Service{} },
	"apps/v1/DaemonSet":             func() metav1.Object { return &appsv1.DaemonSet{} },
	"apps/v1/StatefulSet":           func() metav1.Object { return &appsv1.StatefulSet{} },
	"policy/v1/PodDisruptionBudget": func() metav1.Object { return &policyv1.PodDisruptionBudget{} },
}

func check(document []byte) (string, error) {
	var meta metav1.TypeMeta
	if err := yaml.Unmarshal(document, &meta); err != nil {
		return "", err
	}
	create, known := kinds[meta.APIVersion+"/"+meta.Kind]
	if !known {
		return "", fmt.Errorf("unknown object %s %s", meta.APIVersion, meta.Kind)
	}
	object := create()
	content, err := yaml.YAMLToJSONStrict(document)
	if err != nil {
		return "", err
	}
	// As the API server does it: names in the right case, unlike Go's own decoder.
	problems, err := json.UnmarshalStrict(content, object)
	if err := errors.Join(append(problems, err)...); err != nil {
		return "", fmt.Errorf("%s: %w", meta.Kind, err)
	}
	return meta.Kind + " " + object.GetName(), nil
}

func main() {
	failed := false
	for _, name := range os.Args[1:] {
		content, err := os.ReadFile(name)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		documents := kubeyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
		for {
			document, err := documents.Read()
			if errors.Is(err, io.EOF) {
				break
			}
			found, err := check(document)
			if err != nil {
				failed = true
				fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
				continue
			}
			fmt.Println(found)
		}
	}
	if failed {
		os.Exit(1)
	}
}
