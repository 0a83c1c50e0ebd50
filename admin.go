package caddyws

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(admin{}) }

// admin is what the admin API has of this module, under /websocket/. It is there only if
// the admin API is, and under its rules.
type admin struct{}

// CaddyModule returns the Caddy module information.
func (admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "admin.api.websocket",
		New: func() caddy.Module { return new(admin) },
	}
}

// endpoint answers a request to the admin API. Its errors have a status: see apiError.
type endpoint func(a *App, w http.ResponseWriter, r *http.Request) error

// endpoints are those of each path, by method.
var endpoints = map[string]map[string]endpoint{
	"/websocket/routes":      {http.MethodGet: getRoutes},
	"/websocket/rooms":       {http.MethodGet: getRooms},
	"/websocket/room":        {http.MethodGet: getRoom, http.MethodDelete: deleteRoom},
	"/websocket/publish":     {http.MethodPost: postPublish},
	"/websocket/connections": {http.MethodGet: getConnections, http.MethodDelete: deleteConnections},
	"/websocket/bans":        {http.MethodGet: getBans, http.MethodDelete: deleteBan},
	"/websocket/trace":       {http.MethodGet: getTrace},
	backupPath:               {http.MethodGet: getBackup},
}

// adminPrefix is how the paths begin.
const adminPrefix = "/websocket/"

// Routes returns the routes of the admin API. They are asked for before there is an
// App, which is therefore looked up at each request. A path has one route for all its
// methods, and there is one for the paths that do not exist: so a wrong method or path
// gets an error like any other.
func (admin) Routes() (routes []caddy.AdminRoute) {
	routes = append(routes, caddy.AdminRoute{Pattern: adminPrefix, Handler: caddy.AdminHandlerFunc(refusePath)})
	for path, methods := range endpoints {
		routes = append(routes, caddy.AdminRoute{Pattern: path, Handler: caddy.AdminHandlerFunc(func(w http.ResponseWriter, r *http.Request) error {
			return serveAdmin(methods, w, r)
		})})
	}
	return routes
}

// refusePath answers a request for a path that does not exist.
func refusePath(_ http.ResponseWriter, r *http.Request) error {
	paths := strings.Join(slices.Sorted(maps.Keys(endpoints)), ", ")
	return apiError(http.StatusNotFound, fmt.Errorf("there is no path %q, expected one of %s", r.URL.Path, paths))
}

// serveAdmin has a request answered by the endpoint of its method.
func serveAdmin(methods map[string]endpoint, w http.ResponseWriter, r *http.Request) error {
	serve := methods[r.Method]
	if serve == nil {
		allowed := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		w.Header().Set("Allow", allowed)
		return apiError(http.StatusMethodNotAllowed, fmt.Errorf("method is %s, expected %s", r.Method, allowed))
	}
	app := started.Load()
	if app == nil {
		return apiError(http.StatusConflict, errors.New("no websocket route is configured"))
	}
	return serve(app, w, r)
}

// apiError is an error as the admin API answers it.
func apiError(status int, err error) error { return caddy.APIError{HTTPStatus: status, Err: err} }

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, v any) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	return json.NewEncoder(w).Encode(v)
}

// Interface guards
var (
	_ caddy.Module      = admin{}
	_ caddy.AdminRouter = admin{}
)
