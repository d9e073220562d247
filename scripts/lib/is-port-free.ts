import { createServer } from "node:net";

/** Tried as whoever wants it will: a port from which somebody connects elsewhere answers nobody and cannot be listened on. */
export function isPortFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(false));
    server.listen(port, "127.0.0.1", () => server.close(() => done(true)));
  });
}
