// Google's in-process fake of Pub/Sub (pstest) as a server, with faults to order: pubsub HOST:PORT CONTROL_HOST:PORT.
//
// The control port speaks HTTP and JSON. POST /faults adds a fault, POST /permissions sets what TestIamPermissions answers for a topic (until
// then it is not implemented, as in the emulators), GET /messages?topic= lists a topic's messages as they arrived, GET /calls?topic= the
// publish requests with the order of their beginnings and ends.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"cloud.google.com/go/iam/apiv1/iampb"
	"cloud.google.com/go/pubsub/v2/apiv1/pubsubpb"
	"cloud.google.com/go/pubsub/v2/pstest"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
)

// A Fault hits calls of Method for Topic, Times times (0: always), if a message holds Contains.
type Fault struct {
	Topic  string `json:"topic"`
	Method string `json:"method"`
	// Code: as gRPC names it; HANG answers only when the client gives up, FORGET without the last message id, and MEET as always, but
	// only once two calls are there at the same time.
	Code     string `json:"code"`
	Details  string `json:"details"`
	Contains string `json:"contains"`
	Times    int    `json:"times"`
	RetryMs  int64  `json:"retry_ms"`
	// After: the fault comes when the call has had its effect.
	After bool `json:"after"`

	hits int
	met  chan struct{}
}

// A Call is a publish request. Begin and End are places in one sequence of such events.
type Call struct {
	Topic    string   `json:"topic"`
	Messages int      `json:"messages"`
	Bytes    int      `json:"bytes"`
	Keys     []string `json:"keys"`
	Routing  string   `json:"routing"`
	Begin    int      `json:"begin"`
	End      int      `json:"end"`
	Code     string   `json:"code"`
}

type service struct {
	iampb.UnimplementedIAMPolicyServer
	mu          sync.Mutex
	events      int
	faults      []*Fault
	calls       []*Call
	permissions map[string][]string
}

func (s *service) TestIamPermissions(_ context.Context, request *iampb.TestIamPermissionsRequest) (*iampb.TestIamPermissionsResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	permissions, known := s.permissions[request.GetResource()]
	if !known {
		return nil, status.Error(codes.Unimplemented, "no permissions here")
	}
	return &iampb.TestIamPermissionsResponse{Permissions: permissions}, nil
}

func (s *service) intercept(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (any, error) {
	fault := s.begin(info.FullMethod, request)
	call := s.record(ctx, request)
	response, err := answer(ctx, fault, func() (any, error) { return handle(ctx, request) })
	if call != nil {
		s.mu.Lock()
		s.events++
		call.End, call.Code = s.events, status.Code(err).String()
		s.mu.Unlock()
	}
	return response, err
}

func answer(ctx context.Context, fault *Fault, handle func() (any, error)) (any, error) {
	if fault == nil {
		return handle()
	}
	if fault.Code == "HANG" {
		<-ctx.Done()
		return nil, status.FromContextError(ctx.Err()).Err()
	}
	if fault.Code == "MEET" {
		select {
		case <-fault.met:
			return handle()
		case <-ctx.Done():
			return nil, status.FromContextError(ctx.Err()).Err()
		}
	}
	if fault.Code == "FORGET" {
		response, err := handle()
		if publish, ok := response.(*pubsubpb.PublishResponse); ok && err == nil {
			publish.MessageIds = publish.MessageIds[:len(publish.MessageIds)-1]
		}
		return response, err
	}
	if fault.After {
		if _, err := handle(); err != nil {
			return nil, err
		}
	}
	var code codes.Code
	if err := code.UnmarshalJSON([]byte(`"` + fault.Code + `"`)); err != nil {
		return nil, err
	}
	failure := status.New(code, fault.Details)
	if fault.RetryMs > 0 {
		delay := durationpb.New(time.Duration(fault.RetryMs) * time.Millisecond)
		detailed, err := failure.WithDetails(&errdetails.RetryInfo{RetryDelay: delay})
		if err != nil {
			return nil, err
		}
		failure = detailed
	}
	return nil, failure.Err()
}

// begin takes the fault that hits this call, if one does.
func (s *service) begin(method string, request any) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for index, fault := range s.faults {
		if !strings.HasSuffix(method, "/"+fault.Method) || topicOf(request) != fault.Topic || !holds(request, fault.Contains) {
			continue
		}
		fault.hits++
		if fault.hits == 2 {
			close(fault.met)
		}
		if fault.Times == 1 {
			s.faults = append(s.faults[:index:index], s.faults[index+1:]...)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return fault
	}
	return nil
}

func (s *service) record(ctx context.Context, request any) *Call {
	publish, ok := request.(*pubsubpb.PublishRequest)
	if !ok {
		return nil
	}
	keys := []string{}
	seen := map[string]bool{}
	for _, message := range publish.GetMessages() {
		if key := message.GetOrderingKey(); key != "" && !seen[key] {
			seen[key] = true
			keys = append(keys, key)
		}
	}
	routing := ""
	if values := metadata.ValueFromIncomingContext(ctx, "x-goog-request-params"); len(values) > 0 {
		routing = values[0]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.events++
	call := &Call{
		Topic: publish.GetTopic(), Messages: len(publish.GetMessages()), Bytes: proto.Size(publish),
		Keys: keys, Routing: routing, Begin: s.events,
	}
	s.calls = append(s.calls, call)
	return call
}

func topicOf(request any) string {
	switch typed := request.(type) {
	case *pubsubpb.PublishRequest:
		return typed.GetTopic()
	case *pubsubpb.GetTopicRequest:
		return typed.GetTopic()
	case *iampb.TestIamPermissionsRequest:
		return typed.GetResource()
	}
	return ""
}

func holds(request any, text string) bool {
	if text == "" {
		return true
	}
	publish, ok := request.(*pubsubpb.PublishRequest)
	if !ok {
		return false
	}
	for _, message := range publish.GetMessages() {
		if strings.Contains(string(message.GetData()), text) {
			return true
		}
	}
	return false
}

type heldMessage struct {
	Data       string            `json:"data"`
	Attributes map[string]string `json:"attributes"`
	Key        string            `json:"key"`
}

func (s *service) control(fake *pstest.Server) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		fault := &Fault{Method: "Publish", met: make(chan struct{})}
		if err := json.NewDecoder(r.Body).Decode(fault); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.faults = append(s.faults, fault)
	})
	mux.HandleFunc("POST /permissions", func(w http.ResponseWriter, r *http.Request) {
		var given struct {
			Topic       string   `json:"topic"`
			Permissions []string `json:"permissions"`
		}
		if err := json.NewDecoder(r.Body).Decode(&given); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.permissions[given.Topic] = given.Permissions
	})
	mux.HandleFunc("GET /messages", func(w http.ResponseWriter, r *http.Request) {
		found := []heldMessage{}
		for _, message := range fake.Messages() {
			if message.Topic == r.URL.Query().Get("topic") {
				found = append(found, heldMessage{string(message.Data), message.Attributes, message.OrderingKey})
			}
		}
		json.NewEncoder(w).Encode(found)
	})
	mux.HandleFunc("GET /calls", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		found := []*Call{}
		for _, call := range s.calls {
			if call.Topic == r.URL.Query().Get("topic") {
				found = append(found, call)
			}
		}
		json.NewEncoder(w).Encode(found)
	})
	return mux
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: pubsub HOST:PORT CONTROL_HOST:PORT")
	}
	fake := pstest.NewServer()
	faulty := &service{permissions: map[string][]string{}}
	server := grpc.NewServer(grpc.UnaryInterceptor(faulty.intercept), grpc.MaxRecvMsgSize(20_000_000))
	pubsubpb.RegisterPublisherServer(server, &fake.GServer)
	pubsubpb.RegisterSubscriberServer(server, &fake.GServer)
	iampb.RegisterIAMPolicyServer(server, faulty)
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	go func() { log.Fatal(http.ListenAndServe(os.Args[2], faulty.control(fake))) }()
	fmt.Println("listening on", listener.Addr())
	log.Fatal(server.Serve(listener))
}
