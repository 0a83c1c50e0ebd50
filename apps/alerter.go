package apps

// Alerter is an App that has alerts, which are counted for metrics by their names. An event
// called "alert" tells that one begins: the field alert of its JSON is the name. With
// "raised":false it tells that one has ended, and is not counted.
//
// Alerts of other names, and those of apps without this ability, are counted together: what
// clients send makes no new metric.
type Alerter interface {
	// AlertNames returns the names that stand in the configuration, each of up to 64 bytes
	// in UTF-8. It is called once for each route, when the configuration is loaded. A
	// panic refuses the configuration.
	AlertNames() []string
}
