"""A small web service: POST /predict with {"values": [...]} gives the next value of a trend."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import linear_regression


class Predictor(BaseHTTPRequestHandler):
    def do_POST(self):
        values = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["values"]
        slope, intercept = linear_regression(range(len(values)), values)
        answer = json.dumps({"next": round(intercept + slope * len(values), 3)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)


if __name__ == "__main__":
    ThreadingHTTPServer(("0.0.0.0", 8080), Predictor).serve_forever()
