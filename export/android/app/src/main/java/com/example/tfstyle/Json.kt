/* JSON in a few lines: Android's own org.json does not exist on a plain JVM. */
package com.example.tfstyle

// Android's regular expressions, unlike the JVM's, want braces escaped, in sets too.
private val TOKEN = Regex("""[\{\}\[\],:]|"[^"\\]*+(?:\\.[^"\\]*+)*+"|[\w.+\-]++|\S""")
private val ESCAPE = Regex("""\\(?:u([0-9a-fA-F]{4})|(.))""")
private val ESCAPED = mapOf("n" to "\n", "t" to "\t", "r" to "\r", "b" to "\b", "f" to "\u000c")

/**
 * Returns the map, list, string, double, boolean or null that a JSON text stands for.
 *
 * @throws IllegalArgumentException if it is no JSON.
 */
fun parseJson(text: String): Any? {
    val tokens = ArrayDeque(TOKEN.findAll(text).map { it.value }.toList())

    fun next() = requireNotNull(tokens.removeFirstOrNull()) { "The JSON ends too early." }

    fun expect(expected: String) = next().let { require(it == expected) { "$it is no $expected." } }

    fun members(close: String, member: (String) -> Unit) {
        var token = next()
        while (token != close) {
            member(token)
            token = next()
            if (token == ",") token = next() else require(token == close) { "$token is no $close." }
        }
    }

    fun value(token: String): Any? = when {
        token == "{" -> buildMap<String, Any?> {
            members("}") {
                val name = requireNotNull(value(it) as? String) { "$it is no name." }
                expect(":")
                put(name, value(next()))
            }
        }
        token == "[" -> buildList<Any?> { members("]") { add(value(it)) } }
        token.length > 1 && token[0] == '"' -> unescaped(token.substring(1, token.length - 1))
        token == "true" || token == "false" -> token.toBoolean()
        token == "null" -> null
        else -> requireNotNull(token.toDoubleOrNull()) { "$token is no JSON." }
    }

    return value(next()).also { require(tokens.isEmpty()) { "The JSON goes on: ${tokens[0]}." } }
}

private fun unescaped(text: String) = ESCAPE.replace(text) { match ->
    val (code, char) = match.destructured
    if (code.isEmpty()) ESCAPED[char] ?: char else code.toInt(16).toChar().toString()
}
