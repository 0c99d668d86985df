"""The page's files as gannet-mgmtd serves them: which, how, to whom; and what is said where there are none. What they do in a browser:
../interop/page."""
import http.client
import json
import os
import socket
import tempfile
import unittest

from broker import PATIENCE_S
from management import Mgmtd
from runner import main

FILES = {"index.html": "<!doctype html>", "main.js": "'use strict';", "style.css": "a{}", "icon.svg": "<svg/>", "empty.js": "", "long.js": "x" * 700000}
TYPES = {"index.html": "text/html; charset=utf-8", "main.js": "text/javascript; charset=utf-8", "style.css": "text/css; charset=utf-8",
         "icon.svg": "image/svg+xml", "empty.js": "text/javascript; charset=utf-8", "long.js": "text/javascript; charset=utf-8"}
OTHERS = {"secret.key": "no", ".hidden.js": "no", "noend": "no", ".js": "no", "js": "no"}


class Page(unittest.TestCase):
    def setUp(self):
        self.data = self.enterContext(tempfile.TemporaryDirectory(prefix="gannet-page-"))
        self.web = os.path.join(self.data, "web")
        os.makedirs(os.path.join(self.web, "folder.js"))
        for name, text in {**FILES, **OTHERS, "folder.js/inside.js": "no", "../outside.js": "no"}.items():
            with open(os.path.join(self.web, name), "w", encoding="utf-8") as file:
                file.write(text)
        os.mkfifo(os.path.join(self.web, "fifo.js"))

    def start(self, web=None):
        mgmtd = self.enterContext(Mgmtd(self.data, "--web", self.web if web is None else web))
        self.api = mgmtd.api_at
        return mgmtd

    def ask(self, path, method="GET", headers=None, body=None):
        connection = http.client.HTTPConnection(self.api, timeout=PATIENCE_S)
        connection.request(method, path, body, headers or {})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        return response, text

    def test_files_need_no_login(self):
        self.start()
        for name, text in {"": FILES["index.html"], **FILES}.items():
            response, got = self.ask("/" + name)
            self.assertEqual((response.status, got, response.headers["Content-Type"]), (200, text, TYPES[name or "index.html"]))
            self.assertEqual(response.headers["X-Content-Type-Options"], "nosniff")
            self.assertEqual(response.headers["X-Gannet-Login"], "basic")
            policy = response.headers["Content-Security-Policy"]
            self.assertIn("default-src 'self'; ", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)

    def test_on_the_socket_nobody_logs_in(self):
        mgmtd = self.start()
        response, got = mgmtd.ask("/")
        self.assertEqual((response.status, got, response.headers["X-Gannet-Login"]), (200, FILES["index.html"], "none"))

    def test_nothing_else_is_served(self):
        self.start()
        for path in [*OTHERS, "folder.js", "folder.js/inside.js", "outside.js", "../outside.js", "%2e%2e/outside.js", "..%2foutside.js", "/main.js", "./main.js", "main.js/",
                     "main.js%00", "%6dain.js", "index.html/..", "fifo.js", "MAIN.JS", "folder.js/../main.js", ".", "..", "*", "main.js;x"]:
            response, got = self.ask("/" + path)
            self.assertEqual(response.status, 401, path)
            self.assertNotIn("no\n", got)

    def test_head(self):
        self.start()
        response, got = self.ask("/long.js", "HEAD")
        self.assertEqual((response.status, got, response.headers["Content-Length"]), (200, "", "700000"))

    def test_other_methods(self):
        self.start()
        for method in ("POST", "PUT", "DELETE", "OPTIONS", "BREW"):
            response, got = self.ask("/main.js", method, body="x" * 100000)
            self.assertEqual((response.status, response.headers["Allow"]), (405, "GET"), method)
            self.assertIn('"error":"Method Not Allowed"', got)

    def test_an_etag_saves_the_bytes(self):
        self.start()
        response, _ = self.ask("/main.js")
        etag = response.headers["ETag"]
        self.assertEqual(response.headers["Cache-Control"], "no-cache")
        for header, status, text in ((etag, 304, ""), ('"other", ' + etag, 304, ""), ("W/" + etag, 304, ""), ('"other"', 200, FILES["main.js"])):
            response, got = self.ask("/main.js", headers={"If-None-Match": header})
            self.assertEqual((response.status, got, response.headers["ETag"]), (status, text, etag), header)
        self.assertNotEqual(self.ask("/style.css")[0].headers["ETag"], etag)

    def test_it_is_read_at_the_start(self):
        self.start()
        os.unlink(os.path.join(self.web, "main.js"))
        self.assertEqual(self.ask("/main.js")[1], FILES["main.js"])

    def test_without_a_page(self):
        os.unlink(os.path.join(self.web, "index.html"))
        nowhere = os.path.join(self.data, "nowhere")
        for web, why in ((nowhere, "The page isn't here: %s: No such file or directory\n" % nowhere),
                         (self.web, "The page isn't here: %s has no index.html\n" % self.web)):
            mgmtd = self.start(web)
            response, got = self.ask("/")
            self.assertEqual((response.status, got), (503, why))
            self.assertTrue(mgmtd.log.wait(why.strip()))
            self.assertEqual(self.ask("/", headers={"If-None-Match": response.headers["ETag"]})[0].status, 503)
            self.assertEqual(self.ask("/api/overview")[0].status, 401)

    def test_a_build_without_one_says_why(self):
        os.unlink(os.path.join(self.web, "index.html"))
        with open(os.path.join(self.web, "not-built.txt"), "w", encoding="utf-8") as file:
            file.write("npm is not installed\nmore\n")
        self.start()
        response, got = self.ask("/")
        self.assertEqual((response.status, got), (503, "The page wasn't built: npm is not installed\n"))

    def test_switched_off(self):
        mgmtd = self.start("")
        self.assertEqual(mgmtd.ask("/")[0].status, 404)
        self.assertEqual(self.ask("/main.js")[0].status, 401)

    def test_pages_of_other_sites_may_not_call(self):
        mgmtd = self.start()
        for site, status in (("cross-site", 403), ("same-site", 403), ("same-origin", 401), ("none", 401)):
            for method, path in (("GET", "/api/overview"), ("POST", "/api/definitions")):
                response, got = self.ask(path, method, {"Sec-Fetch-Site": site, "Content-Type": "text/plain"}, "{}")
                self.assertEqual((response.status, sorted(json.loads(got))), (status, ["error", "reason"]), site)
            self.assertEqual(self.ask("/", headers={"Sec-Fetch-Site": site})[0].status, 200)
        self.assertEqual(mgmtd.ask("/api/whoami")[0].status, 200)

    def test_many_at_once(self):
        self.start()
        host, port = self.api.rsplit(":", 1)
        with socket.create_connection((host, int(port)), PATIENCE_S) as stream:
            stream.sendall(b"GET /main.js HTTP/1.1\r\nHost: x\r\n\r\n" * 50)
            got = b""
            while got.count(FILES["main.js"].encode()) < 50:
                more = stream.recv(65536)
                self.assertTrue(more, got)
                got += more


if __name__ == "__main__":
    main()
