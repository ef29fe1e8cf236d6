import { render } from "preact";
import { MapView } from "./map.tsx";
import { OverviewView } from "./overview.tsx";
import "./style.css";

render(<main><MapView /><OverviewView /></main>, document.getElementById("page")!);
